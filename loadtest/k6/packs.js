// Packs of three different sessions, all or nothing, as in Paris: when one of the three is sold out, buyers choose
// others; then they wait and pay. The sessions are the smallest ones, so that many packs fail at a later line.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { account, afterwards, audit as auditSale, remember } from './audit.js';
import { summary } from './report.js';
import { confirm, id, onSale, pick, reserve, short, thresholds, upTo } from './sale.js';

const users = short ? 40 : 300;
const accounts = short ? 1500 : 30000;
const seconds = short ? 8 : 60;

export const options = {
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    packs: {
      executor: 'constant-arrival-rate', rate: short ? 150 : Number(__ENV.RATE || 600), timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '3s',
    },
    audit: afterwards(users, seconds, accounts),
  },
  thresholds: thresholds({
    'latency{call:reserve}': [short ? 'p(99)<2000' : 'p(99)<500'],
    'results{call:reserve,code:ok}': ['count>0'],
    'results{call:reserve,code:sold_out}': ['count>0'], // otherwise there was no contention
  }),
};

export function setup() {
  return onSale().slice(0, short ? 4 : 12);
}

// choose picks three different sessions, and as many tickets for each.
function choose(sessions) {
  const left = sessions.slice();
  const lines = [];
  const quantity = 1 + upTo(5);
  while (lines.length < 3) {
    const [s] = left.splice(Math.floor(Math.random() * left.length), 1);
    lines.push({ session: s.session, category: pick(s.categories), quantity });
  }
  return lines;
}

export default function (sessions) {
  const buyer = account(exec.scenario.iterationInTest % accounts);
  for (let attempt = 0; attempt < 3; attempt++) {
    const r = reserve({ id: id(), account: buyer, lines: choose(sessions) });
    if (r.ok) {
      check(r, { 'a pack has all of its lines': () => r.body.lines.length === 3 });
      sleep(0.02 + Math.random() * 0.1);
      const c = confirm(r.body.id);
      if (check(c, { 'a held pack can be confirmed': () => c.ok && c.body.state === 'confirmed' })) {
        remember(c.body);
      }
      return;
    }
    check(r, { 'a refusal names its rule': () => r.status >= 400 && r.code !== 'other' });
    if (r.code !== 'sold_out') {
      return;
    }
  }
}

export const audit = auditSale;
export const handleSummary = summary('packs');
