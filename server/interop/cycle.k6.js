// Sends the requests of a cycle with k6 and writes the responses; interop_test.go has the protocol.
import http from 'k6/http';

const requests = JSON.parse(open(__ENV.REQUESTS));
export const options = { vus: 1, iterations: 1 };

export default function () {
  console.log(JSON.stringify(requests.map((r) => {
    const a = http.request(r.method, r.url, r.body || null, {
      headers: { 'Accept-Encoding': 'gzip', ...r.headers }, timeout: '20s', responseType: 'text',
    });
    const headers = {};
    Object.keys(a.headers).forEach((name) => { headers[name.toLowerCase()] = a.headers[name]; });
    return { status: a.status, headers, body: a.body || '' };
  })));
}
