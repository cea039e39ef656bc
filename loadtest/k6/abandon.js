// Abandoned baskets: most holds expire unpaid, and their tickets become available again. An expired hold cannot be
// confirmed; the others can. Some buyers extend their hold while the bank thinks, and then pay, or abandon it after all.
// Some banks answer too late, and the buyer takes the tickets again.
import { check } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { Hold } from './ends.js';
import { summary } from './report.js';
import { confirm, confirmAgain, id, onSale, pick, read, reserve, short, thresholds, upTo } from './sale.js';

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
    'results{call:confirm_again,code:ok}': ['count>0'],
    'results{call:extend,code:ok}': ['count>0'],
    audit_ends: ['count>0'],
    audit_wrong_ends: ['count==0'],
  }, ['confirm_again', 'extend']),
};

export function setup() {
  return onSale();
}

export default function (sessions) {
  const s = pick(sessions);
  const sent = Date.now();
  const r = reserve({
    id: id(), account: account(exec.scenario.iterationInTest % accounts), ttl_seconds: 1,
    lines: [{ session: s.session, category: pick(s.categories), quantity: upTo(2) }],
  });
  if (!r.ok) {
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    return;
  }
  const hold = new Hold(r.body, sent);
  const fate = Math.random();
  if (fate < 0.2) {
    pay(hold);
  } else if (fate < 0.6) {
    awaitBank(hold);
  } else {
    abandon(hold, r.body);
  }
}

// pay confirms the hold, whose time may be over on a slow machine.
function pay(hold) {
  const sent = Date.now();
  const c = confirm(hold.id);
  if (check(c, { 'a hold is confirmed or has expired': () => c.ok || c.code === 'reservation_expired' })) {
    hold.saw(c.ok, sent);
  }
  if (c.ok) {
    remember(c.body);
  }
}

// awaitBank extends the hold. It must live beyond the end that it had first.
function awaitBank(hold) {
  const first = hold.end;
  const e = hold.extend(1000 * upTo(2));
  if (!e.ok) {
    check(e, { 'only an expired hold cannot be extended': () => e.code === 'reservation_expired' });
    return;
  }
  check(e, { 'an extended hold has its new end': () => Date.parse(e.body.expires_at) === hold.end && e.body.state === 'held' });
  hold.sleepBeyond(first);
  const sent = Date.now();
  hold.saw(read(`/v1/reservations/${hold.id}`).state === 'held', sent);
  if (Math.random() < 0.5) {
    pay(hold);
    return;
  }
  abandon(hold, e.body);
}

// abandon does not confirm the hold until its time is over. Then some take its tickets again. held is the hold's
// reservation.
function abandon(hold, held) {
  hold.sleepBeyond(hold.end);
  const sent = Date.now();
  const late = confirm(hold.id);
  hold.saw(late.ok, sent);
  if (!check(late, { 'an expired hold cannot be confirmed': () => late.code === 'reservation_expired' })) {
    return;
  }
  const again = late.body.can_take_again && Math.random() < 0.2 ? confirmAgain(hold.id) : null;
  if (again !== null) {
    check(again, { 'what can be taken again is confirmed': () => again.ok && again.body.state === 'confirmed' });
  }
  remember(again !== null && again.ok ? again.body : { ...held, state: 'expired' });
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
