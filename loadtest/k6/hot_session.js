// All buyers want the session with the fewest tickets, and as many tickets as allowed. It must sell out to the last
// ticket, and not oversell; from then on the server has to refuse quickly.
import { check } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, reserve, short, thresholds } from './sale.js';

const users = short ? 40 : 300;
const accounts = short ? 4000 : 60000;
const seconds = short ? 8 : 45;

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    hot_session: {
      executor: 'constant-arrival-rate', rate: short ? 400 : Number(__ENV.RATE || 2000), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '3s',
    },
    audit: afterwards(users, seconds, accounts),
  },
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'],
    'results{call:reserve,code:ok}': ['count>0'],
    'results{call:reserve,code:sold_out}': ['count>0'],
  }),
};

export function setup() {
  return onSale()[0];
}

export default function (hot) {
  const r = reserve({
    id: id(), account: account(exec.scenario.iterationInTest % accounts),
    lines: [{ session: hot.session, category: pick(hot.categories), quantity: 6 }],
  });
  if (r.ok && Math.random() < 0.8) {
    const c = confirm(r.body.id);
    if (check(c, { 'a held reservation can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
      remember(c.body);
    }
  } else if (!r.ok) {
    check(r, { 'the refusal is sold_out or a limit': () => ['sold_out', 'session_limit_exceeded', 'account_cap_exceeded'].includes(r.code) });
  }
}

export const audit = auditSale;
export const handleSummary = summary('hot_session');
