// What both generated clients do: the life of a reservation, and refusals.
import assert from 'node:assert/strict';

export const url = process.env.SEATHOLD_URL!;
export const key = process.env.SEATHOLD_KEY!;

// Reservation and Refusal are what the test reads; the generated types have these members.
type State = 'held' | 'confirmed' | 'released' | 'expired' | 'returned';
type Reservation = { id: string; state: State; tickets: number; expires_at: string; reference?: string };
type Refusal = { code: string; limit?: number; latest?: string };
type Answer<T> = Promise<{ status: number; value?: T; refusal?: Refusal; retryAfter?: string | null }>;

export interface Client {
  reserve(id: string, account: string, quantity: number): Answer<Reservation>;
  confirm(id: string, reference: string): Answer<Reservation>;
  release(id: string): Answer<Reservation>;
  extend(id: string, expiresAt: string): Answer<Reservation>;
  reduce(id: string, quantity: number): Answer<Reservation>;
  giveBack(id: string, reference: string): Answer<Reservation>;
  read(id: string): Answer<Reservation>;
  available(session: string, category: string): Answer<number>;
  confirmedBy(account: string): Answer<number>;
  releaseInBatch(ids: string[]): Answer<(Reservation | Refusal)[]>;
  withoutKey(): Answer<unknown>;
}

export async function cycle(name: string, client: Client) {
  const account = `${name}-buyer`;
  const sold = crypto.randomUUID();
  const given = crypto.randomUUID();

  const before = await client.available('ATH10', 'B');
  assert.equal(before.status, 200);
  const held = await client.reserve(sold, account, 2);
  assert.equal(held.status, 201);
  assert.equal(held.value?.state, 'held');
  const again = await client.reserve(sold, account, 2);
  assert.equal(again.status, 200);
  assert.deepEqual(again.value, held.value);

  const many = await client.reserve(crypto.randomUUID(), account, 7);
  assert.equal(many.status, 409);
  assert.equal(many.refusal?.code, 'session_limit_exceeded');
  assert.equal(many.refusal?.limit, 6);

  const confirmed = await client.confirm(sold, 'pay_1');
  assert.equal(confirmed.status, 200);
  assert.equal(confirmed.value?.reference, 'pay_1');
  const twice = await client.confirm(sold, 'pay_2');
  assert.equal(twice.status, 409);
  assert.equal(twice.refusal?.code, 'reservation_confirmed');
  assert.equal((await client.read(sold)).value?.state, 'confirmed');
  assert.equal((await client.confirmedBy(account)).value, 2);

  const changed = crypto.randomUUID();
  assert.equal((await client.reserve(changed, account, 3)).status, 201);
  const extended = await client.extend(changed, '2023-11-30T10:30:00Z');
  assert.equal(extended.value?.expires_at, '2023-11-30T10:30:00.000Z');
  const late = await client.extend(changed, '2023-11-30T11:30:00Z');
  assert.equal(late.status, 409);
  assert.equal(late.refusal?.latest, '2023-11-30T11:00:00.000Z');
  assert.equal((await client.reduce(changed, 2)).value?.tickets, 2);
  assert.equal((await client.giveBack(changed, 'refund_1')).refusal?.code, 'reservation_held');
  assert.equal((await client.confirm(changed, 'pay_3')).value?.state, 'confirmed');
  const returned = await client.giveBack(changed, 'refund_1');
  assert.equal(returned.value?.state, 'returned');
  assert.equal(returned.value?.reference, 'refund_1');

  assert.equal((await client.reserve(given, account, 1)).status, 201);
  assert.equal((await client.release(given)).value?.state, 'released');
  const batch = await client.releaseInBatch([given, sold]);
  assert.equal(batch.status, 200);
  const [first, second] = batch.value!;
  assert.ok(first && 'state' in first && first.state === 'released');
  assert.ok(second && 'code' in second && second.code === 'reservation_confirmed');

  const after = await client.available('ATH10', 'B');
  assert.equal(after.value, before.value! - 2);
  const missing = await client.read(crypto.randomUUID());
  assert.equal(missing.status, 404);
  assert.equal(missing.refusal?.code, 'reservation_not_found');
  assert.equal((await client.withoutKey()).status, 401);
  console.log('done');
}
