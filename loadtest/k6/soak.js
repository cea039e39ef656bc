// A mix of all calls but confirm again, at a steady rate, for the number of hours in HOURS. Watch memory, the journal's checkpoints and
// the tail latency; they should be the same at the end as at the beginning.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import {
  confirm, extend, giveBack, id, onSale, pick, read, reduce, release, reserve, short, thresholds, upTo,
} from './sale.js';

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
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<200'],
    'results{call:reserve,code:ok}': ['count>0'],
  }, ['replace', 'extend', 'reduce', 'return']),
};

export function setup() {
  return onSale();
}

// request asks for tickets of one to three sessions.
function request(buyer, sessions) {
  const chosen = {};
  for (let i = upTo(3); i > 0; i--) {
    const s = pick(sessions);
    chosen[s.session] = { session: s.session, category: pick(s.categories), quantity: upTo(2) };
  }
  return { id: id(), account: buyer, ttl_seconds: 5 + upTo(25), lines: Object.values(chosen) };
}

export default function (sessions) {
  const buyer = account(exec.scenario.iterationInTest % accounts);
  let r = reserve(request(buyer, sessions));
  if (!r.ok) {
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    return;
  }
  check(read(`/v1/reservations/${r.body.id}`), { 'a reservation can be read at once': (got) => got.state === 'held' });
  const change = Math.random();
  if (change < 0.1) {
    const e = extend(r.body.id, Date.parse(r.body.expires_at) + 5000);
    check(e, { 'a hold can be extended': () => e.ok && e.body.state === 'held' });
  } else if (change < 0.2) {
    const other = reserve({ ...request(buyer, sessions), replaces: r.body.id });
    r = other.ok ? other : r;
  }
  sleep(0.05);
  const fate = Math.random();
  if (fate < 0.5) {
    const c = confirm(r.body.id);
    if (check(c, { 'a held reservation can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
      remember(c.body);
      giveUp(c.body);
    }
  } else if (fate < 0.7) {
    const c = release(r.body.id);
    check(c, { 'a held reservation can be released': () => c.ok && c.body.state === 'released' });
  }
}

// giveUp returns some sold reservations, and the last line of others.
function giveUp(sold) {
  const fate = Math.random();
  if (fate < 0.2) {
    const r = giveBack(sold.id);
    if (check(r, { 'sold tickets can be returned': () => r.ok && r.body.state === 'returned' })) {
      remember(r.body);
    }
  } else if (fate < 0.4 && sold.lines.length > 1) {
    const r = reduce(sold.id, sold.lines.slice(0, -1));
    if (check(r, { 'a line can be given up': () => r.ok && r.body.lines.length === sold.lines.length - 1 })) {
      remember(r.body);
    }
  }
}

export const audit = auditSale;
export const handleSummary = summary('soak');
