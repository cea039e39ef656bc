// Package redis keeps a journal in a Redis, for one leader that writes it and any number of standbys that follow.
//
//	{seathold:NAME}:journal               the stream: an entry for each group, and few others; the only truth
//	{seathold:NAME}:tail                  position of the last group or claim, so that scripts need not read it
//	{seathold:NAME}:leader                position of the newest claim, and the address of who made it
//	{seathold:NAME}:checkpoints           a hash: checkpoint -> its manifest, or "writing", or "dropped"
//	{seathold:NAME}:checkpoint:ID:PIECE   half a megabyte of a checkpoint
//
// The one hash tag puts all keys into one slot of a cluster.
//
// # Entries
//
// An id is epoch-number: the leader's term, and a count of what it has sent. Redis refuses an id that is not above the last
// one, and no script appends anything unless the journal ends where its sender believes: this is the fence (I8).
//
//	epoch-0   type claim.1    prev POSITION  leader ADDRESS  nonce TEXT       sum HEX
//	epoch-n   type group.1    prev POSITION  first RECORD    count RECORDS    sum HEX    records BYTES
//	epoch-n   type beat.1
//	epoch-n   type resign.1
//
// A position is the id of a group or a claim and its sum, an xxHash64. The sum covers the position before, so that a
// position stands for all that was written up to there; prev makes a chain of groups and claims in which a hole shows. The
// nonce tells apart two claims of one epoch, of which Redis can only have lost one before it took the other.
//
// A claim begins an epoch. A beat says that the leader lives while it has nothing to append, and is no part of the chain: a
// beat behind a beat takes its place, so there is at most one for each group, trimmed with it. Beats are entries and not a
// key that expires, because a follower then waits in a single call for groups and beats alike, in their order; what it
// hears is what it has. A resign entry is the leader's last word.
//
// # One append
//
// The group, with the position it must follow, goes to a script that compares, adds the entry and notes the new tail, in
// one round trip and as one transaction of the append-only file. Sending it again is harmless: it is there already, or it
// can still be added, or somebody else came first. So any failure is answered by sending the same bytes under the same id
// again, until Redis has answered; the client's own retrying is switched off. When the script finds another tail, the end of
// the stream itself is looked at, which also sets the tail right:
//
//	what happened                                       what the stream ends with     what is done
//	request lost, or Redis died before it               the group before              the group is sent again
//	reply lost, or Redis died behind it                 this group, by its sum        done: it was appended once
//	Redis, restarted or failed over, lost the tail      an earlier entry of ours      what is missing is appended again
//	the same, claim and all                             the entry before our claim    claim and groups are appended again
//	the same, and memory does not reach back            anything older                ErrLost, for good
//	stream or tail was deleted by somebody              nothing, or as it was         appended again, or ErrLost; tail is set
//	another leader has claimed                          an entry of a later epoch     journal.ErrFenced, for good
//	another has claimed an epoch that Redis had lost    our epoch, another's claim    journal.ErrFenced, for good
//
// All of it happens before the group is acknowledged, and a beat finds out the same. Kept in memory for it is what was
// appended last, Options.KeepBytes of records. While Redis answers with a refusal that may pass (it loads its data, is a
// replica, is out of memory or disk, lacks replicas, has lost its quorum, knows another password), the group is repeated,
// and Status.Trouble says so; any other refusal is final.
//
// # Checkpoints
//
// A checkpoint is a row of pieces under keys of its own, each with a checksum that covers those before it; the manifest is
// written last, by a script that looks whether all pieces are there. Two are kept. The stream is trimmed behind the entry
// that the older one builds on, which stays. Keys are named by the leader's epoch, and every script changes something only
// while its caller is still the leader, so a deposed one can neither overwrite nor remove nor trim. What it leaves behind
// is marked "writing" and removed by the next commit.
//
// # What a Redis can lose
//
// With appendonly yes and appendfsync always, Redis syncs before it answers: what is acknowledged survives its crash and its
// machine's. With everysec a crash of the machine takes back up to a second, with a slow disk two. Without the
// append-only file, everything since the last snapshot. As long as the leader lives, it appends again what is missing; what
// is lost for good is what Redis and leader lose together. Check tells which of these holds.
//
// A replica is told after the acknowledgement. When Sentinel or Cluster puts it in the master's place, it may lack the last
// groups: a leader that lives finds that out and appends them again, a leader that died with the master takes them along.
// Worse, a master that is cut off does not know that it was replaced. Until it hears of it, a leader on its side goes on
// acknowledging groups that will be thrown away, while a standby on the other side claims the new master and sells the same
// seats: the fence is as good as there is one Redis. min-replicas-to-write and min-replicas-max-lag shorten that time;
// nothing in Redis ends it. So Check calls a Redis with automatic failover not safe, whatever it syncs.
//
// # Cost
//
// The script takes what a bare XADD takes, and then Lua copies its arguments: without any file, a group of one record of 57
// bytes took 41 µs where the XADD alone took 25, one of 1,000 records 425 and 204 µs, of which most is fresh memory. Beside
// a sync of half a millisecond and more that is little, and buys that no append has to be asked about afterwards.
//
//	go test -run '^$' -bench . ./engine/journal/redis
//
// prints what it comes to on the machine at hand, beside reservations made by a Lua script in the same Redis.
package redis
