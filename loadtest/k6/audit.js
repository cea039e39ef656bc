// The audit checks through the API, after the load, what must be true of every sale: no pool is oversold (I1), no cap
// is exceeded (I2), and every acknowledged outcome still exists (I5).
//
// k6 shares no memory between its virtual users, so each user remembers what was acknowledged to it and checks that
// itself. The audit is a scenario that runs once in each user after the load. k6 reuses the users of the load, which
// never has more of them than the audit.
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { read, readAll, run } from './sale.js';

const pools = new Counter('audit_pools'); // checked
const ledgers = new Counter('audit_ledgers'); // checked
const outcomes = new Counter('audit_outcomes'); // checked
const shared = new Counter('audit_shared'); // pools checked
const oversold = new Counter('audit_oversold'); // tickets
const overCap = new Counter('audit_over_cap'); // tickets
const lost = new Counter('audit_lost'); // outcomes
const unshared = new Counter('audit_unshared'); // tickets

const sessionLimit = Number(__ENV.SESSION_LIMIT || 6);
const acknowledged = {}; // by id: what this user last learned of a reservation

// remember notes the reservation of an answer. Until the next remember of the same id nothing changes it any more.
export function remember(reservation) {
  acknowledged[reservation.id] = outcome(reservation);
}

// outcome is a text of what the audit compares.
function outcome(r) {
  return `${r.state}, until ${r.expires_at}: ${r.lines.map((l) => `${l.quantity} ${l.session} ${l.category}`).join(', ')}`;
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
  const ids = Object.keys(acknowledged);
  readAll(ids.map((id) => `/v1/reservations/${id}`)).forEach((r, i) => {
    outcomes.add(1);
    const now = r.status === 200 ? outcome(r.body) : r.status;
    if (now !== acknowledged[ids[i]]) {
      lost.add(1);
      console.error(`I5: ${ids[i]} was ${acknowledged[ids[i]]}, and is now ${now}`);
    }
  });
}

// auditShares checks that every place of the session that is taken belongs to one reservation: the ledgers of this run
// have as many tickets of each pool as were taken since before, which is the session as it was then. No others may buy.
export function auditShares(before, accounts) {
  const tickets = {}; // by category and state
  const ledgers = Array.from({ length: accounts }, (_, n) => `/v1/accounts/${account(n)}`);
  for (const r of readAll(ledgers)) {
    for (const { state, lines } of r.body.reservations) {
      for (const l of lines.filter((l) => l.session === before.session)) {
        tickets[`${l.category} ${state}`] = (tickets[`${l.category} ${state}`] || 0) + l.quantity;
      }
    }
  }
  read(`/v1/sessions/${before.session}`).pools.forEach((p, i) => {
    shared.add(1);
    const held = p.held - before.pools[i].held - (tickets[`${p.category} held`] || 0);
    const sold = p.sold - before.pools[i].sold - (tickets[`${p.category} confirmed`] || 0);
    if (held !== 0 || sold !== 0) {
      unshared.add(Math.abs(held) + Math.abs(sold));
      console.error(`${before.session} ${p.category}: the ledgers lack ${held} held tickets and ${sold} sold ones`);
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
