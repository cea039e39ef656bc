// Abandoned baskets: most holds expire unpaid, and their tickets become available again. An expired hold cannot be
// confirmed; the others can.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, read, reserve, short, thresholds, upTo } from './sale.js';

const users = short ? 150 : 1500;
const accounts = short ? 500 : 10000;
const seconds = short ? 8 : 60;

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    abandon: {
      executor: 'constant-arrival-rate', rate: short ? 60 : Number(__ENV.RATE || 400), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '5s',
    },
    audit: afterwards(users, seconds + 3, accounts),
  },
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'],
    'results{call:confirm,code:reservation_expired}': ['count>0'],
    'results{call:confirm,code:ok}': ['count>0'],
  }),
};

export function setup() {
  return onSale();
}

export default function (sessions) {
  const s = pick(sessions);
  const r = reserve({
    id: id(), account: account(exec.scenario.iterationInTest % accounts), ttl_seconds: 1,
    lines: [{ session: s.session, category: pick(s.categories), quantity: upTo(2) }],
  });
  if (!r.ok) {
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    return;
  }
  if (Math.random() < 0.2) {
    const c = confirm(r.body.id);
    if (c.ok) {
      remember(r.body.id);
    }
    return;
  }
  sleep(1.1);
  const late = confirm(r.body.id);
  check(late, { 'an expired hold cannot be confirmed': () => late.code === 'reservation_expired' });
}

export function teardown(sessions) {
  // Everything unpaid is available again: no ticket is held once the last hold has expired.
  const names = new Set(sessions.map((s) => s.session));
  const held = read('/v1/sessions').sessions.filter((s) => names.has(s.session))
    .reduce((n, s) => n + s.pools.reduce((sum, p) => sum + p.held, 0), 0);
  check(held, { 'all abandoned tickets are available again': () => held === 0 });
}

export const audit = auditSale;
export const handleSummary = summary('abandon');
