package redis

import "github.com/redis/go-redis/v9"

// Every change of the journal is one script, so that Redis compares and changes in one step. The package documentation
// has the keys. A script fails when the stream has another type. It never fails because of the other keys: a value that
// Redis lost in a restart, that was removed, or that has another type is an absent value, with which no comparison
// succeeds, and is overwritten when it is set.

// luaGet defines get, which returns the value of a string key, empty where there is none.
const luaGet = `
local function get(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end
`

// luaHash defines hash, which removes a key that is not a hash.
const luaHash = `
local function hash(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
end
`

// luaComplete defines complete, which reports whether a value of the hash of checkpoints is a manifest.
const luaComplete = `
local function complete(value) return value and string.sub(value, 1, 11) == 'checkpoint.' end
`

// luaStore defines store, which stores a piece of a checkpoint that is being written, unless the checkpoint was
// dropped or is complete. Then this is an attempt that was repeated because its response was lost, and Redis executes
// it only now; to record that a complete checkpoint is being written would cause its removal. Otherwise store records
// again that the checkpoint is being written, so that there is never a piece that no leader can find.
const luaStore = luaComplete + `
local function store(checkpoints, piece, id, bytes)
  hash(checkpoints)
  local now = redis.call('HGET', checkpoints, id)
  if now == 'dropped' or complete(now) then return false end
  if now ~= 'writing' then redis.call('HSET', checkpoints, id, 'writing') end
  redis.call('SET', piece, bytes)
  return true
end
`

// appendScript adds a group after the expected position, and stores a piece of a checkpoint if one is given. It returns
// 1, or 2 if it has stored the piece as well, or the position that the journal ends at instead. The group does not
// depend on the piece. It does not create an absent stream: NOMKSTREAM. It does not continue one that was emptied.
//
// KEYS stream, tail [, checkpoints, piece].
// ARGV id, previous position, first, count, sum, records [, checkpoint, bytes].
var appendScript = redis.NewScript(luaGet + luaHash + luaStore + `
local tail = get(KEYS[2])
if tail ~= ARGV[2] then return tail end
if redis.call('XLEN', KEYS[1]) == 0 then return '' end
if not redis.call('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1], 'type', '` + groupType + `', 'prev', ARGV[2],
  'first', ARGV[3], 'count', ARGV[4], 'sum', ARGV[5], 'records', ARGV[6]) then return '' end
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[5])
if not KEYS[3] then return 1 end
local called, stored = pcall(store, KEYS[3], KEYS[4], ARGV[7], ARGV[8])
return called and stored and 2 or 1`)

// claimScript begins an epoch, if the journal ends at the expected position and has no entry of any type after the
// given one. It returns 1, or the position that the journal ends at. A repeated claim has the same result as the first
// one.
//
// KEYS stream, tail, leader. ARGV id, sum, leader's address, nonce, expected position, id of the last known entry.
var claimScript = redis.NewScript(luaGet + `
local mine = ARGV[1] .. ':' .. ARGV[2]
local own = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if own and own[2][10] == ARGV[2] then return 1 end
local tail = get(KEYS[2])
if tail ~= ARGV[5] or redis.call('XRANGE', KEYS[1], '(' .. ARGV[6], '+', 'COUNT', 1)[1] then return tail end
redis.call('XADD', KEYS[1], ARGV[1], 'type', '` + claimType + `', 'prev', tail,
  'leader', ARGV[3], 'nonce', ARGV[4], 'sum', ARGV[2])
redis.call('SET', KEYS[2], mine)
redis.call('SET', KEYS[3], mine .. ' ' .. ARGV[3])
return 1`)

// beatScript adds a beat or a resignation after the expected position and removes the entry before it if that is a
// beat. It returns 1, or the position that the journal ends at instead. A repeated beat has the same result as the
// first one.
//
// KEYS stream, tail. ARGV id, expected position, type.
var beatScript = redis.NewScript(luaGet + `
local tail = get(KEYS[2])
if tail ~= ARGV[2] then return tail end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] then return '' end
if last[1][1] == ARGV[1] then return 1 end
redis.call('XADD', KEYS[1], ARGV[1], 'type', ARGV[3])
if last[1][2][2] == '` + beatType + `' then redis.call('XDEL', KEYS[1], last[1][1]) end
return 1`)

// streamEndScript finds the end of the stream and sets tail to it. It returns the position, the value of the leader
// key, and the id of the last entry of any type.
//
// KEYS stream, tail, leader.
var streamEndScript = redis.NewScript(luaGet + `
local position, newest, upper = '', '', '+'
while true do
  local e = redis.call('XREVRANGE', KEYS[1], upper, '-', 'COUNT', 1)[1]
  if not e then break end
  if newest == '' then newest = e[1] end
  local kind = e[2][2]
  if kind == '` + groupType + `' or kind == '` + claimType + `' then
    position = e[1] .. ':' .. e[2][10]
    break
  end
  if kind ~= '` + beatType + `' and kind ~= '` + resignType + `' then
    return redis.error_reply('FOREIGN entry ' .. e[1])
  end
  upper = '(' .. e[1]
end
if get(KEYS[2]) ~= position or position == '' then
  if position == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], position) end
end
return {position, get(KEYS[3]), newest}`)

// restoreScript makes the other keys again, for a leader whose last group or claim the journal ends with. It does
// nothing if the journal ends elsewhere. A checkpoint that is being dropped stays so.
//
// KEYS tail, leader, checkpoints.
// ARGV expected position, leader, then for each complete checkpoint its id and manifest.
var restoreScript = redis.NewScript(luaGet + luaHash + `
if get(KEYS[1]) ~= ARGV[1] then return 0 end
if get(KEYS[2]) ~= ARGV[2] then redis.call('SET', KEYS[2], ARGV[2]) end
hash(KEYS[3])
for i = 3, #ARGV, 2 do
  local now = redis.call('HGET', KEYS[3], ARGV[i])
  if now ~= ARGV[i + 1] and now ~= 'dropped' then redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
end
return 1`)

// The scripts of checkpoints return 0 if the leader key does not hold the caller's claim.
const ifLeader = luaGet + luaHash + `
if get(KEYS[1]) ~= ARGV[1] then return 0 end
`

// beginScript records that a checkpoint is being written, so that its pieces can be found if it is never finished. It
// returns 2 if a checkpoint of that id is complete.
//
// KEYS leader, checkpoints. ARGV leader, id.
var beginScript = redis.NewScript(ifLeader + luaComplete + `
hash(KEYS[2])
if complete(redis.call('HGET', KEYS[2], ARGV[2])) then return 2 end
redis.call('HSET', KEYS[2], ARGV[2], 'writing')
return 1`)

// pieceScript stores one piece of a checkpoint that is being written. It returns 2 if the checkpoint was dropped or is
// complete.
//
// KEYS leader, checkpoints, piece. ARGV leader, id, bytes.
var pieceScript = redis.NewScript(ifLeader + luaStore + `
return store(KEYS[2], KEYS[3], ARGV[2], ARGV[3]) and 1 or 2`)

// commitScript makes a checkpoint complete if all its pieces exist, and marks every checkpoint that is not to be kept
// as dropped. It returns 2 if a part of the checkpoint is missing. A repeated commit has the same result as the first
// one.
//
// KEYS leader, checkpoints, pieces... ARGV leader, id, manifest, then for each checkpoint to keep its id and manifest.
var commitScript = redis.NewScript(ifLeader + `
hash(KEYS[2])
local now = redis.call('HGET', KEYS[2], ARGV[2])
if now == ARGV[3] then return 1 end
if now == 'dropped' then return 2 end
for i = 3, #KEYS do
  local bytes = redis.pcall('STRLEN', KEYS[i])
  if type(bytes) ~= 'number' or bytes == 0 then return 2 end
end
local keep = {}
for i = 2, #ARGV, 2 do
  keep[ARGV[i]] = true
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
  if not keep[id] then redis.call('HSET', KEYS[2], id, 'dropped') end
end
return 1`)

// dropScript removes pieces of a checkpoint that is marked as dropped or was never finished. Without pieces it removes
// the checkpoint from the hash. It returns 1, also when repeated, or 2 if the checkpoint is complete and to be kept.
//
// KEYS leader, checkpoints, pieces... ARGV leader, id.
var dropScript = redis.NewScript(ifLeader + `
hash(KEYS[2])
local now = redis.call('HGET', KEYS[2], ARGV[2])
if now and now ~= 'dropped' and now ~= 'writing' then return 2 end
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
if #KEYS == 2 then redis.call('HDEL', KEYS[2], ARGV[2]) end
return 1`)

// trimScript removes some of the entries before the given one, in whole nodes of the stream, and returns how many. It
// is limited because Redis does nothing else in the meantime.
//
// KEYS leader, stream. ARGV leader, id.
var trimScript = redis.NewScript(ifLeader + `
return redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[2], 'LIMIT', 200)`)
