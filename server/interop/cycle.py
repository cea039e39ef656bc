"""Sends the requests of a cycle with requests and prints the responses; interop_test.go has the protocol."""
import json
import sys

import requests

session = requests.Session()
responses = []
for r in json.load(sys.stdin):
    a = session.request(r["method"], r["url"], headers=r["headers"], data=r["body"].encode() or None, timeout=20)
    responses.append({"status": a.status_code, "headers": {k.lower(): v for k, v in a.headers.items()}, "body": a.text})
json.dump(responses, sys.stdout)
