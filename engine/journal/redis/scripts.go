package redis

import (
	"crypto/sha1"
	"encoding/hex"
)

// script is a Lua script and the name that Redis gives it.
type script struct {
	source, hash string
}

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source))
	return &script{source, hex.EncodeToString(sum[:])}
}

// Every change of the journal is one script, so that Redis compares and changes in one step. What they have in common:
//
//	stream       the entries; the only truth
//	tail         position of the last group or claim, kept beside the stream only to spare the scripts the reading of a
//	             whole group; whenever it does not match, lookScript sets it from the stream
//	leader       position of the newest claim, a space, and the leader's address
//	checkpoints  a hash: id of a checkpoint -> its manifest, or "writing", or "dropped"
//
// A value that is compared is absent after a restart that lost it, and then no comparison holds.

// appendScript adds a group behind the expected position. It returns 1, or the position it found in its place. An absent
// stream is not made anew: NOMKSTREAM.
//
// KEYS stream, tail. ARGV id, previous position, first, count, sum, records.
var appendScript = newScript(`
local tail = redis.call('GET', KEYS[2])
if tail ~= ARGV[2] then return tail or '' end
if not redis.call('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1], 'type', '` + groupType + `', 'prev', ARGV[2],
  'first', ARGV[3], 'count', ARGV[4], 'sum', ARGV[5], 'records', ARGV[6]) then return '' end
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[5])
return 1`)

// claimScript begins an epoch, behind whatever the journal ends with, or behind the given position only where that is not
// '*'. It returns {1, previous position}, or {0, position it found}. Repeated, it answers as the first time.
//
// KEYS stream, tail, leader. ARGV id, sum, leader's address, nonce, expected position.
var claimScript = newScript(`
local mine = ARGV[1] .. ':' .. ARGV[2]
local leader = redis.call('GET', KEYS[3])
if leader and string.sub(leader, 1, #mine + 1) == mine .. ' ' then
  local own = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
  if own[1] then return {1, own[1][2][4]} end
end
local tail = redis.call('GET', KEYS[2]) or ''
if ARGV[5] ~= '*' and tail ~= ARGV[5] then return {0, tail} end
redis.call('XADD', KEYS[1], ARGV[1], 'type', '` + claimType + `', 'prev', tail, 'leader', ARGV[3], 'nonce', ARGV[4], 'sum', ARGV[2])
redis.call('SET', KEYS[2], mine)
redis.call('SET', KEYS[3], mine .. ' ' .. ARGV[3])
return {1, tail}`)

// beatScript adds a beat, or the notice that the leader resigns, behind the expected position; a beat that is last makes
// room for it. It returns 1, or the position it found.
//
// KEYS stream, tail. ARGV id, expected position, type.
var beatScript = newScript(`
local tail = redis.call('GET', KEYS[2])
if tail ~= ARGV[2] then return tail or '' end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] then return '' end
redis.call('XADD', KEYS[1], ARGV[1], 'type', ARGV[3])
if last[1][2][2] == '` + beatType + `' then redis.call('XDEL', KEYS[1], last[1][1]) end
return 1`)

// lookScript finds out where the stream ends and sets tail accordingly. It returns the position, what leader holds, and
// the id of the last entry of any type.
//
// KEYS stream, tail, leader.
var lookScript = newScript(`
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
if redis.call('GET', KEYS[2]) ~= position then
  if position == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], position) end
end
return {position, redis.call('GET', KEYS[3]) or '', newest}`)

// The scripts of checkpoints return 0 when the caller is not the leader.
const ifLeader = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
`

// beginScript notes that a checkpoint is being written, so that what is left of it can be found.
//
// KEYS leader, checkpoints. ARGV leader, id.
var beginScript = newScript(ifLeader + `
redis.call('HSET', KEYS[2], ARGV[2], 'writing')
return 1`)

// pieceScript stores one piece of a checkpoint.
//
// KEYS leader, piece. ARGV leader, bytes.
var pieceScript = newScript(ifLeader + `
redis.call('SET', KEYS[2], ARGV[2])
return 1`)

// commitScript makes a checkpoint complete if all its pieces are there, and marks all but the ones to keep as dropped.
// It returns 2 when something of the checkpoint is missing. Repeated, it answers as the first time.
//
// KEYS leader, checkpoints, pieces... ARGV leader, id, manifest, further ids to keep...
var commitScript = newScript(ifLeader + `
local now = redis.call('HGET', KEYS[2], ARGV[2])
if now == ARGV[3] then return 1 end
if now ~= 'writing' then return 2 end
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return 2 end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
local keep = {[ARGV[2]] = true}
for i = 4, #ARGV do keep[ARGV[i]] = true end
for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
  if not keep[id] then redis.call('HSET', KEYS[2], id, 'dropped') end
end
return 1`)

// dropScript removes pieces of a checkpoint that nobody will read: it is marked as dropped, or was left unfinished.
// Without pieces it forgets the checkpoint. It returns 1, also when repeated, or 2 where the checkpoint is one to keep.
//
// KEYS leader, checkpoints, pieces... ARGV leader, id.
var dropScript = newScript(ifLeader + `
local now = redis.call('HGET', KEYS[2], ARGV[2])
if now and now ~= 'dropped' and now ~= 'writing' then return 2 end
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
if #KEYS == 2 then redis.call('HDEL', KEYS[2], ARGV[2]) end
return 1`)

// trimScript removes some of the entries before the given one, in whole nodes of the stream, and returns how many.
// A few at a time, because Redis does nothing else meanwhile.
//
// KEYS leader, stream. ARGV leader, id.
var trimScript = newScript(ifLeader + `
return redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[2], 'LIMIT', 200)`)
