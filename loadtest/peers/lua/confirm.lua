-- Sells what is held, or returns it if the hold has expired.
--
--   KEYS  1 reservation:{id}  2 account:{name}  3 pools  4 holds
--   ARGV  1 id  2 now in ms
local r = redis.call('HMGET', KEYS[1], 'state', 'expires', 'lines')
if not r[1] then return 'reservation_not_found' end
if r[1] == 'confirmed' then return 'repeated' end
if r[1] == 'expired' then return 'reservation_expired' end
if tonumber(ARGV[2]) < tonumber(r[2]) then
  redis.call('HSET', KEYS[1], 'state', 'confirmed', 'confirmed', ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 'done'
end
for pool, session, quantity in string.gmatch(r[3], '(%d+) (%d+) (%d+)') do
  redis.call('HINCRBY', KEYS[3], pool, quantity)
  redis.call('HINCRBY', KEYS[2], session, -quantity)
  redis.call('HINCRBY', KEYS[2], 'all', -quantity)
end
redis.call('HSET', KEYS[1], 'state', 'expired')
redis.call('ZREM', KEYS[4], ARGV[1])
return 'reservation_expired'
