// Holds whose end is moved must live until then, and not longer. The sale clock may be a simulated one, so a user knows
// only bounds of its time: it was created_at between the moments at which the request for the hold was sent and answered.
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
import { extend } from './sale.js';

const observations = new Counter('audit_ends'); // answers that show a hold alive or ended
const wrong = new Counter('audit_wrong_ends');
const slack = 50; // ms: rounding, and the drift of the two clocks during a hold

export class Hold {
  // sent is the local time at which the hold was requested.
  constructor(reservation, sent) {
    const created = Date.parse(reservation.created_at);
    this.id = reservation.id;
    this.end = Date.parse(reservation.expires_at);
    this.least = created - Date.now() - slack; // how far the sale clock is ahead of the local one: at least
    this.most = created - sent + slack; // at most
  }

  // extend moves the end by a number of ms, and returns the answer.
  extend(by) {
    const sent = Date.now();
    const end = this.end + by;
    const e = extend(this.id, end);
    this.saw(e.ok, sent);
    if (e.ok) {
      this.end = end;
    }
    return e;
  }

  // saw judges an answer that has just come: the request, sent at the local time, found the hold alive, or ended by time.
  saw(alive, sent) {
    observations.add(1);
    if (alive ? sent + this.least >= this.end : Date.now() + this.most < this.end) {
      wrong.add(1);
      console.error(`${this.id} ${alive ? 'lives beyond' : 'ended before'} ${new Date(this.end).toISOString()}`);
    }
  }

  // sleepBeyond sleeps until an instant of the sale clock has certainly passed.
  sleepBeyond(instant) {
    sleep(Math.max(0, instant - this.least - Date.now()) / 1000);
  }
}
