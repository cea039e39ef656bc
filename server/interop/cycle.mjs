// Sends the requests of a cycle with Node's fetch or with axios and prints the responses; interop_test.go has the
// protocol.
import { text } from 'node:stream/consumers';
import http from 'node:http';
import https from 'node:https';
import axios from 'axios';

async function byFetch({ method, url, headers, body }) {
  const a = await fetch(url, { method, headers, body: body || undefined, signal: AbortSignal.timeout(20000) });
  return { status: a.status, headers: Object.fromEntries(a.headers), body: await a.text() };
}

const client = axios.create({
  httpAgent: new http.Agent({ keepAlive: true }),
  httpsAgent: new https.Agent({ keepAlive: true }),
  timeout: 20000,
  responseType: 'text',
  transformRequest: (body) => body,
  transformResponse: (body) => body,
  validateStatus: () => true,
});

async function byAxios({ method, url, headers, body }) {
  const a = await client.request({ method, url, headers, data: body || undefined });
  return { status: a.status, headers: { ...a.headers }, body: a.data };
}

const send = { fetch: byFetch, axios: byAxios }[process.argv[2]];
const responses = [];
for (const request of JSON.parse(await text(process.stdin))) {
  responses.push(await send(request));
}
process.stdout.write(JSON.stringify(responses), () => process.exit(0));
