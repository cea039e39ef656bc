// The cycle with the client of @hey-api/openapi-ts.
import * as seathold from './client';
import { createClient } from './client/client';
import { cycle, key, url } from './cycle';

const client = createClient({ baseUrl: url, auth: key });

// limitOf shows that a code decides which facts a refusal has.
function limitOf(conflict: seathold.ReserveConflict): number | undefined {
  return conflict.code === 'session_limit_exceeded' ? conflict.limit : undefined;
}

cycle('heyapi', {
  async reserve(id, account, quantity) {
    const body: seathold.ReservationRequest = { id, account, lines: [{ session: 'ATH10', category: 'B', quantity }] };
    const { data, error, response } = await seathold.reserve({ client, body });
    const limit = error?.status === 409 ? limitOf(error) : undefined;
    return { status: response!.status, value: data, refusal: error && { code: error.code, limit } };
  },
  async confirm(id, reference) {
    const { data, error, response } = await seathold.confirm({ client, path: { id }, body: { reference } });
    return { status: response!.status, value: data, refusal: error };
  },
  async release(id) {
    const { data, error, response } = await seathold.release({ client, path: { id } });
    return { status: response!.status, value: data, refusal: error };
  },
  async extend(id, expires_at) {
    const { data, error, response } = await seathold.extend({ client, path: { id }, body: { expires_at } });
    const latest = error?.status === 409 && error.code === 'hold_limit_exceeded' ? error.max_expires_at : undefined;
    return { status: response!.status, value: data, refusal: error && { code: error.code, latest } };
  },
  async reduce(id, quantity) {
    const lines = [{ session: 'ATH10', category: 'B', quantity }];
    const { data, error, response } = await seathold.reduce({ client, path: { id }, body: { lines } });
    return { status: response!.status, value: data, refusal: error };
  },
  async giveBack(id, reference) {
    const { data, error, response } = await seathold.returnTickets({ client, path: { id }, body: { reference } });
    return { status: response!.status, value: data, refusal: error };
  },
  async read(id) {
    const { data, error, response } = await seathold.readReservation({ client, path: { id } });
    return { status: response!.status, value: data, refusal: error };
  },
  async available(session, category) {
    const { data, error, response } = await seathold.readSession({ client, path: { session } });
    const pool = data?.pools.find((pool) => pool.category === category);
    return { status: response!.status, value: pool?.available, refusal: error };
  },
  async confirmedBy(account) {
    const { data, error, response } = await seathold.readAccount({ client, path: { account } });
    const ledger = data?.programmes.find((ledger) => ledger.programme === 'olympic');
    return { status: response!.status, value: ledger?.confirmed, refusal: error };
  },
  async releaseInBatch(ids) {
    const operations: seathold.BatchOperation[] = ids.map((id) => ({ op: 'release', id }));
    const { data, error, response } = await seathold.batch({ client, body: { operations } });
    return { status: response!.status, value: data?.results.map((r) => r.reservation ?? r.problem!), refusal: error };
  },
  async withoutKey() {
    const { error, response } = await seathold.listPhases({ client: createClient({ baseUrl: url }) });
    return { status: response!.status, refusal: error };
  },
});
