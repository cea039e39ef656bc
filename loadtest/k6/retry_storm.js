// An impatient gateway: each reservation is sent one to ten times at once, over several connections, and each
// confirmation up to three times. One id has one effect and one answer (I9).
import { check } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, reserveAtOnce, short, thresholds, upTo } from './sale.js';

const users = short ? 30 : 200;
const accounts = short ? 1000 : 20000;
const seconds = short ? 8 : 45;

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  batchPerHost: 10,
  scenarios: {
    retry_storm: {
      executor: 'constant-arrival-rate', rate: short ? 120 : Number(__ENV.RATE || 400), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '3s',
    },
    audit: afterwards(users, seconds, accounts),
  },
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'],
    'results{call:reserve,code:ok}': ['count>0'],
    'results{call:reserve,code:repeated}': ['count>0'],
    'results{call:reserve,code:sold_out}': ['count>0'],
  }),
};

export function setup() {
  return onSale()[0];
}

export default function (hot) {
  const request = {
    id: id(), account: account(exec.scenario.iterationInTest % accounts),
    lines: [{ session: hot.session, category: pick(hot.categories), quantity: 1 + upTo(5) }],
  };
  const answers = reserveAtOnce(request, upTo(10));
  const won = answers.filter((a) => a.ok);
  check(answers, {
    'one of them made the reservation': () => won.filter((a) => a.status === 201).length === (won.length > 0 ? 1 : 0),
    'all that succeeded return the same one': () =>
      won.every((a) => a.body.id === request.id && a.body.created_at === won[0].body.created_at),
  });
  if (won.length === 0) {
    return;
  }
  for (let i = upTo(3); i > 0; i--) {
    const c = confirm(request.id);
    if (check(c, { 'a confirmation can be repeated': () => c.ok && c.body.state === 'confirmed' }) && i === 1) {
      remember(c.body);
    }
  }
}

export const audit = auditSale;
export const handleSummary = summary('retry_storm');
