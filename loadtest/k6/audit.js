// The audit checks through the API, after the load, what must be true of every sale: no pool is oversold (I1), no cap
// is exceeded (I2), and every acknowledged confirmation still exists (I5).
//
// k6 shares no memory between its virtual users, so each user remembers its own acknowledged confirmations and checks
// them itself. The audit is a scenario that runs once in each user after the load. k6 reuses the users of the load,
// which never has more of them than the audit.
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { read, readAll, run } from './sale.js';

const pools = new Counter('audit_pools'); // checked
const ledgers = new Counter('audit_ledgers'); // checked
const confirms = new Counter('audit_confirms'); // checked
const oversold = new Counter('audit_oversold'); // tickets
const overCap = new Counter('audit_over_cap'); // tickets
const lost = new Counter('audit_lost_confirms');

const sessionLimit = Number(__ENV.SESSION_LIMIT || 6);
const acknowledged = []; // ids whose confirmation this user received

export function remember(id) {
  acknowledged.push(id);
}

// account returns the name of the n-th buyer of this run.
export function account(n) {
  return `${run}-${n}`;
}

// afterwards returns the audit's scenario. load is the longest duration of the load, in seconds.
export function afterwards(users, load, accounts) {
  return {
    executor: 'per-vu-iterations', vus: users, iterations: 1, startTime: `${load + 3}s`, maxDuration: '10m', exec: 'audit',
    env: { ACCOUNTS: String(accounts), USERS: String(users) },
  };
}

export function audit() {
  const n = exec.scenario.iterationInTest;
  if (n === 0) {
    auditStock();
  }
  const mine = [];
  for (let i = n; i < Number(__ENV.ACCOUNTS); i += Number(__ENV.USERS)) {
    mine.push(`/v1/accounts/${account(i)}`);
  }
  for (const r of readAll(mine)) {
    auditLedger(r.body);
  }
  readAll(acknowledged.map((id) => `/v1/reservations/${id}`)).forEach((r, i) => {
    confirms.add(1);
    if (r.status !== 200 || r.body.state !== 'confirmed') {
      lost.add(1);
      console.error(`confirmed ${acknowledged[i]} is now ${r.status} ${r.body && r.body.state}`);
    }
  });
}

function auditStock() {
  for (const s of read('/v1/sessions').sessions) {
    for (const p of s.pools) {
      pools.add(1);
      const sum = p.available + p.held + p.sold + p.withheld;
      const wrong = Math.abs(p.capacity - sum) + [p.available, p.held, p.sold, p.withheld].reduce((n, v) => n + Math.max(0, -v), 0);
      if (wrong !== 0) {
        oversold.add(wrong);
        console.error(`I1: ${s.session} ${JSON.stringify(p)}`);
      }
    }
  }
}

function auditLedger(ledger) {
  ledgers.add(1);
  let wrong = 0;
  for (const p of ledger.programmes) {
    wrong += Math.max(0, p.held + p.confirmed - p.cap);
  }
  const bySession = {};
  for (const r of ledger.reservations) {
    for (const l of r.lines) {
      bySession[l.session] = (bySession[l.session] || 0) + l.quantity;
    }
  }
  for (const n of Object.values(bySession)) {
    wrong += Math.max(0, n - sessionLimit);
  }
  if (wrong !== 0) {
    overCap.add(wrong);
    console.error(`I2: ${JSON.stringify(ledger)}`);
  }
}
