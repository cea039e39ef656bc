// Tickets that come back: a small session sells out. Buyers replace their basket, keep fewer tickets, or return what
// they bought; others wait for what comes back and buy it. At the end every place is available or of one reservation.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { account, afterwards, audit as auditSale, auditShares, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, giveBack, id, onSale, pick, read, reduce, release, reserve, short, thresholds, upTo } from './sale.js';

const users = short ? 200 : 600;
const accounts = short ? 400 : 3000;
const seconds = short ? 8 : 45;
const polls = 10; // of a buyer that waits for tickets to come back
const pause = short ? 0.1 : 0.2; // seconds between them, on average

const resold = new Counter('resold'); // tickets bought after they were sold out

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    refund: {
      executor: 'constant-arrival-rate', rate: short ? 100 : Number(__ENV.RATE || 150), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '5s',
    },
    audit: afterwards(users, seconds + 3, accounts),
  },
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'],
    'results{call:reserve,code:sold_out}': ['count>0'],
    'results{call:replace,code:ok}': ['count>0'],
    'results{call:reduce,code:ok}': ['count>0'],
    'results{call:return,code:ok}': ['count>0'],
    resold: ['count>0'],
    audit_shared: ['count>0'],
    audit_unshared: ['count==0'],
  }, ['replace', 'reduce', 'return']),
};

export function setup() {
  return read(`/v1/sessions/${onSale()[0].session}`);
}

export default function (hot) {
  const buyer = account(exec.scenario.iterationInTest % accounts);
  let basket = buy(hot, buyer);
  if (basket === null) {
    return;
  }
  if (Math.random() < 0.3) {
    basket = replace(hot, buyer, basket);
  }
  if (Math.random() < 0.1) {
    basket = keepFewer(basket);
  }
  sleep(0.02 + Math.random() * 0.1);
  if (Math.random() < 0.1) {
    const c = release(basket.id);
    check(c, { 'a held basket can be released': () => c.ok && c.body.state === 'released' });
    remember(c.body);
    return;
  }
  const c = confirm(basket.id);
  if (!check(c, { 'a held basket can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
    return;
  }
  remember(c.body);
  sleep(0.1 + Math.random() * 0.4);
  const fate = Math.random();
  if (fate < 0.3) {
    returnAll(c.body);
  } else if (fate < 0.6) {
    keepFewer(c.body);
  }
}

// request asks for tickets of the session, at most so many of each category, of one category or of two.
function request(hot, buyer, pools, most) {
  const lines = pools.slice(0, upTo(2)).map((p) => ({ session: hot.session, category: p.category, quantity: upTo(most(p)) }));
  return { id: id(), account: buyer, lines };
}

// shuffled returns the list in a random order.
function shuffled(list) {
  return list.map((v) => [Math.random(), v]).sort((a, b) => a[0] - b[0]).map((v) => v[1]);
}

// buy holds tickets. If they are sold out, it looks for some that came back; null if it got none.
function buy(hot, buyer) {
  let r = reserve(request(hot, buyer, shuffled(hot.pools), () => 3));
  for (let i = 0; i < polls && r.code === 'sold_out'; i++) {
    sleep(pause * (0.5 + Math.random()));
    const back = read(`/v1/sessions/${hot.session}`).pools.filter((p) => p.available > 0);
    if (back.length > 0) {
      r = reserve(request(hot, buyer, shuffled(back), (p) => Math.min(3, p.available)));
      resold.add(r.ok ? r.body.tickets : 0);
    }
  }
  check(r, { 'a refusal is sold_out or a limit': () => r.ok || ['sold_out', 'session_limit_exceeded', 'account_cap_exceeded'].includes(r.code) });
  return r.ok ? r.body : null;
}

// replace swaps the basket for another one in one step, and returns the one that the buyer has then.
function replace(hot, buyer, old) {
  const r = reserve({ ...request(hot, buyer, shuffled(hot.pools), () => 3), replaces: old.id });
  const left = read(`/v1/reservations/${old.id}`).state;
  check(r, {
    'a replaced basket is released, another one is still held': () => left === (r.ok ? 'released' : 'held'),
    'a replacement is refused over stock or a limit': () => r.ok || ['sold_out', 'session_limit_exceeded'].includes(r.code),
  });
  if (!r.ok) {
    return old;
  }
  remember({ ...old, state: 'released' });
  return r.body;
}

// keepFewer gives up some tickets of a line, and returns what is left.
function keepFewer(of) {
  if (of.tickets === 1) {
    return of;
  }
  const at = Math.floor(Math.random() * of.lines.length);
  const fewer = upTo(of.lines[at].quantity - (of.lines.length === 1 ? 1 : 0));
  const lines = of.lines.map((l, i) => ({ ...l, quantity: l.quantity - (i === at ? fewer : 0) })).filter((l) => l.quantity > 0);
  const r = reduce(of.id, lines);
  const ok = check(r, {
    'a reservation keeps what it was reduced to': () => r.ok && r.body.state === of.state && r.body.tickets === of.tickets - fewer,
  });
  if (ok && r.body.state === 'confirmed') {
    remember(r.body);
  }
  return ok ? r.body : of;
}

// returnAll gives back all tickets of a confirmed reservation, twice: the second call changes nothing.
function returnAll(sold) {
  for (let i = 0; i < 2; i++) {
    const r = giveBack(sold.id);
    if (check(r, { 'sold tickets can be returned': () => r.ok && r.body.state === 'returned' && r.body.tickets === sold.tickets })) {
      remember(r.body);
    }
  }
}

export function teardown(hot) {
  auditShares(hot, accounts);
}

export const audit = auditSale;
export const handleSummary = summary('refund');
