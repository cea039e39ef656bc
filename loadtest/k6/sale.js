// The calls of the API that the scenarios make. Each call records its result code and its latency for the summary.
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const api = __ENV.API || 'http://127.0.0.1:8080';
const headers = { 'Content-Type': 'application/json' };
if (__ENV.KEY) {
  headers.Authorization = `Bearer ${__ENV.KEY}`;
}

// A refusal by the rules of the sale is a valid answer; only 5xx and broken connections are failures of a request.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 499 }));

export const short = __ENV.SHORT === '1';
export const run = __ENV.RUN || 'run'; // keeps the accounts of two runs on one server apart

export const results = new Counter('results'); // tags: call, code
export const latency = new Trend('latency', true); // ms; tags: call, code
export const failed = new Rate('failed'); // calls without a valid answer

// All codes that the report shows. k6 keeps a count for each because of a threshold that always holds.
const codes = ['ok', 'repeated', 'sold_out', 'account_cap_exceeded', 'session_limit_exceeded', 'id_reused',
  'reservation_held', 'reservation_expired', 'reservation_released', 'reservation_confirmed', 'reservation_returned',
  'reservation_not_found', 'hold_limit_exceeded', 'not_a_reduction', 'overloaded', 'journal_unavailable', 'not_leader',
  'unreachable', 'other'];

// thresholds adds the thresholds of a scenario to the common ones. The scenario makes the calls reserve, confirm,
// release and those in changes.
export function thresholds(own, changes = []) {
  const all = {
    failed: ['rate<0.001'],
    checks: ['rate==1'],
    audit_pools: ['count>0'],
    audit_ledgers: ['count>0'],
    audit_oversold: ['count==0'],
    audit_over_cap: ['count==0'],
    audit_lost: ['count==0'],
  };
  for (const call of ['reserve', 'confirm', 'release', ...changes]) {
    all[`latency{call:${call}}`] = ['p(99)>=0'];
    for (const code of codes) {
      all[`results{call:${call},code:${code}}`] = ['count>=0'];
    }
  }
  return Object.assign(all, own);
}

// codeOf returns the result code of a call.
function codeOf(r) {
  if (r.status === 0) {
    return 'unreachable';
  }
  if (r.status === 201) {
    return 'ok';
  }
  if (r.status === 200) {
    return 'repeated'; // of a reservation; the other calls do not report repetitions
  }
  const code = r.json('code');
  if (codes.includes(code)) {
    return code;
  }
  console.error(`unexpected answer: ${r.status} ${r.body}`);
  return 'other';
}

// answer counts the result of a call and returns it.
function answer(call, r) {
  let code = codeOf(r);
  if (code === 'repeated' && call !== 'reserve' && call !== 'replace') {
    code = 'ok';
  }
  results.add(1, { call, code });
  latency.add(r.timings.duration, { call, code });
  failed.add(r.status === 0 || r.status >= 500);
  return { code, ok: r.status === 200 || r.status === 201, status: r.status, body: r.status === 0 ? null : r.json() };
}

export function id() {
  return crypto.randomUUID();
}

export function reserve(request) {
  const call = request.replaces ? 'replace' : 'reserve';
  return answer(call, http.post(`${api}/v1/reservations`, JSON.stringify(request), { headers, tags: { name: call } }));
}

// reserveAtOnce sends the same request several times, over several connections, and returns all answers.
export function reserveAtOnce(request, times) {
  const body = JSON.stringify(request);
  const all = [];
  for (let i = 0; i < times; i++) {
    all.push(['POST', `${api}/v1/reservations`, body, { headers, tags: { name: 'reserve' } }]);
  }
  return http.batch(all).map((r) => answer('reserve', r));
}

// change makes a call about the reservation with the id. The report shows it as name.
function change(call, id, body, name = call) {
  const text = body ? JSON.stringify(body) : '';
  return answer(name, http.post(`${api}/v1/reservations/${id}/${call}`, text, { headers, tags: { name } }));
}

export function confirm(id) {
  return change('confirm', id);
}

// confirmAgain confirms the reservation even if it has expired, where its tickets are still available.
export function confirmAgain(id) {
  return change('confirm', id, { again: true }, 'confirm_again');
}

export function release(id) {
  return change('release', id);
}

// extend moves the end of a hold to an instant, in ms since 1970 on the sale clock.
export function extend(id, end) {
  return change('extend', id, { expires_at: new Date(end).toISOString() });
}

// reduce makes the reservation keep only the lines.
export function reduce(id, lines) {
  return change('reduce', id, { lines });
}

// giveBack returns the sold tickets of the reservation.
export function giveBack(id) {
  return change('return', id);
}

// read gets a resource that must exist.
export function read(path) {
  const r = http.get(`${api}${path}`, { headers, tags: { name: 'read' } });
  if (r.status !== 200) {
    throw new Error(`GET ${path}: ${r.status} ${r.body}`);
  }
  return r.json();
}

// readAll gets many resources, twenty at a time.
export function readAll(paths) {
  const all = [];
  for (let i = 0; i < paths.length; i += 20) {
    const some = paths.slice(i, i + 20).map((p) => ['GET', `${api}${p}`, null, { headers, tags: { name: 'read' } }]);
    for (const r of http.batch(some)) {
      all.push({ status: r.status, body: r.status === 200 ? r.json() : null });
    }
  }
  return all;
}

// onSale returns the sessions that one phase sells now to every account, the smallest first, so that a short run can sell
// some out. Of several such phases it takes the one with the smallest session.
export function onSale() {
  const phases = read('/v1/phases').phases.filter((p) => p.open && p.access === 'open');
  const choices = phases.map(soldIn).filter((sessions) => sessions.length > 0);
  if (choices.length === 0) {
    throw new Error('no phase sells anything to every account now');
  }
  return choices.sort((a, b) => a[0].available - b[0].available)[0];
}

// soldIn returns the sessions of which a phase has tickets left, the smallest first. The phase may sell fewer tickets of
// a session than the session has.
function soldIn(phase) {
  const places = {};
  for (const p of phase.places || []) {
    places[p.session] = p.available;
  }
  return read(`/v1/sessions?phase=${encodeURIComponent(phase.phase)}`).sessions.filter((s) => s.on_sale)
    .map((s) => ({
      session: s.session, categories: s.pools.map((p) => p.category),
      available: Math.min(s.pools.reduce((sum, p) => sum + p.available, 0), places[s.session] ?? Infinity),
    }))
    .filter((s) => s.available > 0)
    .sort((a, b) => a.available - b.available);
}

export function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}

export function upTo(n) {
  return 1 + Math.floor(Math.random() * n);
}
