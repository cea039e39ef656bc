// The minute in which the sale opens: the rate rises steeply, stays, and falls. Buyers take one to four tickets. Most
// of them pay after a moment, some release their tickets, some just leave.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, release, reserve, short, thresholds, upTo } from './sale.js';

const users = short ? 40 : 400;
const accounts = short ? 300 : 20000;
const peak = short ? 200 : Number(__ENV.RATE || 2000);
const stages = short
  ? [{ target: peak, duration: '3s' }, { target: peak, duration: '4s' }, { target: 0, duration: '1s' }]
  : [{ target: peak, duration: '10s' }, { target: peak, duration: '60s' }, { target: peak / 10, duration: '20s' }];
const load = short ? 8 : 90;

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    spike: {
      executor: 'ramping-arrival-rate', startRate: peak / 20, timeUnit: '1s', preAllocatedVUs: users, maxVUs: users, stages,
      gracefulStop: '3s',
    },
    audit: afterwards(users, load, accounts),
  },
  thresholds: thresholds({ 'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'], 'results{call:confirm,code:ok}': ['count>0'] }),
};

export function setup() {
  return onSale();
}

export default function (sessions) {
  const s = pick(sessions);
  const r = reserve({
    id: id(), account: account(exec.scenario.iterationInTest % accounts),
    lines: [{ session: s.session, category: pick(s.categories), quantity: upTo(4) }],
  });
  if (!r.ok) {
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    return;
  }
  const fate = Math.random();
  if (fate < 0.7) {
    sleep(0.05);
    const c = confirm(r.body.id);
    if (check(c, { 'a held reservation can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
      remember(c.body);
    }
  } else if (fate < 0.8) {
    const c = release(r.body.id);
    check(c, { 'a held reservation can be released': () => c.ok && c.body.state === 'released' });
  }
}

export const audit = auditSale;
export const handleSummary = summary('spike');
