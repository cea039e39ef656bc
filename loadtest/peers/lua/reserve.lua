-- Holds all lines or none.
--
--   KEYS  1 reservation:{id}  2 account:{name}  3 pools  4 holds
--   ARGV  1 id  2 account  3 now in ms  4 end of the hold in ms, then for each line: pool, session, quantity
--
-- pools is a hash of available tickets by pool. An account is a hash of its tickets by session, and of their sum under
-- "all". A reservation is a hash. holds is a sorted set of the ids of held reservations by the end of the hold.
local lines = table.concat(ARGV, ' ', 5)
local known = redis.call('HMGET', KEYS[1], 'account', 'lines')
if known[1] then
  if known[1] == ARGV[2] and known[2] == lines then return 'repeated' end
  return 'id_reused'
end

local pools, sessions, requested, tickets = {}, {'all'}, {}, 0
for i = 5, #ARGV, 3 do
  local session, quantity = ARGV[i + 1], tonumber(ARGV[i + 2])
  pools[#pools + 1] = ARGV[i]
  tickets = tickets + quantity
  if not requested[session] then
    sessions[#sessions + 1] = session
    requested[session] = 0
  end
  requested[session] = requested[session] + quantity
end
requested['all'] = tickets

local ledger, had = {}, redis.call('HMGET', KEYS[2], unpack(sessions))
for i = 2, #sessions do
  local n = (tonumber(had[i]) or 0) + requested[sessions[i]]
  if n > 6 then return 'session_limit_exceeded' end
  ledger[#ledger + 1] = sessions[i]
  ledger[#ledger + 1] = n
end
tickets = tickets + (tonumber(had[1]) or 0)
if tickets > 30 then return 'account_cap_exceeded' end

local stock, left = {}, redis.call('HMGET', KEYS[3], unpack(pools))
for i = 1, #pools do
  local n = tonumber(left[i]) - tonumber(ARGV[4 + 3 * i])
  if n < 0 then return 'sold_out' end
  stock[#stock + 1] = pools[i]
  stock[#stock + 1] = n
end

redis.call('HSET', KEYS[3], unpack(stock))
redis.call('HSET', KEYS[2], 'all', tickets, unpack(ledger))
redis.call('HSET', KEYS[1], 'account', ARGV[2], 'lines', lines, 'state', 'held', 'created', ARGV[3], 'expires', ARGV[4])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
return 'done'
