// A mix of all calls at a steady rate, for the number of hours in HOURS. Watch memory, the journal's checkpoints and
// the tail latency; they should be the same at the end as at the beginning.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, read, release, reserve, short, thresholds, upTo } from './sale.js';

const users = short ? 40 : 200;
const accounts = short ? 300 : 50000;
const seconds = short ? 10 : Math.round(3600 * Number(__ENV.HOURS || 1));

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    soak: {
      executor: 'constant-arrival-rate', rate: short ? 100 : Number(__ENV.RATE || 300), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '3s',
    },
    audit: afterwards(users, seconds, accounts),
  },
  thresholds: thresholds({ 'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<200'], 'results{call:reserve,code:ok}': ['count>0'] }),
};

export function setup() {
  return onSale();
}

export default function (sessions) {
  const buyer = account(exec.scenario.iterationInTest % accounts);
  const chosen = {};
  for (let i = upTo(3); i > 0; i--) {
    const s = pick(sessions);
    chosen[s.session] = { session: s.session, category: pick(s.categories), quantity: upTo(2) };
  }
  const r = reserve({ id: id(), account: buyer, ttl_seconds: 5 + upTo(25), lines: Object.values(chosen) });
  if (!r.ok) {
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    return;
  }
  check(read(`/v1/reservations/${r.body.id}`), { 'a reservation can be read at once': (got) => got.state === 'held' });
  sleep(0.05);
  const fate = Math.random();
  if (fate < 0.5) {
    const c = confirm(r.body.id);
    if (check(c, { 'a held reservation can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
      remember(r.body.id);
    }
  } else if (fate < 0.7) {
    const c = release(r.body.id);
    check(c, { 'a held reservation can be released': () => c.ok && c.body.state === 'released' });
  }
}

export const audit = auditSale;
export const handleSummary = summary('soak');
