// The cycle with openapi-fetch and the types of openapi-typescript.
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema';
import { cycle, key, url } from './cycle';

type Schemas = components['schemas'];

const authorized: Middleware = {
  onRequest({ request }) {
    request.headers.set('Authorization', `Bearer ${key}`);
  },
};
const client = createClient<paths>({ baseUrl: url });
client.use(authorized);

// limitOf shows that a code decides which facts a refusal has.
function limitOf(conflict: Schemas['ReserveConflict']): number | undefined {
  return conflict.code === 'session_limit_exceeded' ? conflict.limit : undefined;
}

cycle('fetch', {
  async reserve(id, account, quantity) {
    const body: Schemas['ReservationRequest'] = { id, account, lines: [{ session: 'ATH10', category: 'B', quantity }] };
    const { data, error, response } = await client.POST('/v1/reservations', { body });
    const limit = error?.status === 409 ? limitOf(error) : undefined;
    return { status: response.status, value: data, refusal: error && { code: error.code, limit } };
  },
  async confirm(id, reference) {
    const { data, error, response } = await client.POST('/v1/reservations/{id}/confirm', {
      params: { path: { id } },
      body: { reference },
    });
    return { status: response.status, value: data, refusal: error };
  },
  async release(id) {
    const { data, error, response } = await client.POST('/v1/reservations/{id}/release', { params: { path: { id } } });
    return { status: response.status, value: data, refusal: error };
  },
  async extend(id, expires_at) {
    const { data, error, response } = await client.POST('/v1/reservations/{id}/extend', {
      params: { path: { id } },
      body: { expires_at },
    });
    const latest = error?.status === 409 && error.code === 'hold_limit_exceeded' ? error.max_expires_at : undefined;
    return { status: response.status, value: data, refusal: error && { code: error.code, latest } };
  },
  async reduce(id, quantity) {
    const { data, error, response } = await client.POST('/v1/reservations/{id}/reduce', {
      params: { path: { id } },
      body: { lines: [{ session: 'ATH10', category: 'B', quantity }] },
    });
    return { status: response.status, value: data, refusal: error };
  },
  async giveBack(id, reference) {
    const { data, error, response } = await client.POST('/v1/reservations/{id}/return', {
      params: { path: { id } },
      body: { reference },
    });
    return { status: response.status, value: data, refusal: error };
  },
  async read(id) {
    const { data, error, response } = await client.GET('/v1/reservations/{id}', { params: { path: { id } } });
    return { status: response.status, value: data, refusal: error };
  },
  async available(session, category) {
    const { data, error, response } = await client.GET('/v1/sessions/{session}', { params: { path: { session } } });
    const pool = data?.pools.find((pool) => pool.category === category);
    return { status: response.status, value: pool?.available, refusal: error };
  },
  async confirmedBy(account) {
    const { data, error, response } = await client.GET('/v1/accounts/{account}', { params: { path: { account } } });
    const ledger = data?.programmes.find((ledger) => ledger.programme === 'olympic');
    return { status: response.status, value: ledger?.confirmed, refusal: error };
  },
  async releaseInBatch(ids) {
    const operations = ids.map((id) => ({ op: 'release', id }) as const);
    const { data, error, response } = await client.POST('/v1/batch', { body: { operations } });
    return { status: response.status, value: data?.results.map((r) => r.reservation ?? r.problem!), refusal: error };
  },
  async withoutKey() {
    const { error, response } = await createClient<paths>({ baseUrl: url }).GET('/v1/phases');
    return { status: response.status, refusal: error };
  },
});
