// Package redis keeps a journal in Redis, for one leader that writes it and any number of standbys that follow it.
//
//	{seathold:NAME}:journal               the stream: one entry per group and a few others; the only truth
//	{seathold:NAME}:tail                  position of the last group or claim, so that scripts need not read the entry
//	{seathold:NAME}:leader                position of the newest claim and the address of the leader that made it
//	{seathold:NAME}:checkpoints           a hash: checkpoint -> its manifest, or "writing", or "dropped"
//	{seathold:NAME}:checkpoint:ID:PIECE   up to half a megabyte of a checkpoint
//
// The common hash tag puts all keys into one slot of a cluster.
//
// The stream and the pieces are the truth; nothing can replace them. The stream of a leader that is alive is the
// exception, as far as memory holds its end. All else is derived, and made again whatever happens to it: that it is
// removed, has another type or another value never ends the writer, a follower, a claim or a checkpoint.
//
//	key           what it is derived from              made again by
//	tail          the stream's last group or claim     an append, beat or claim that finds another value
//	leader        the claim of whoever owns the tail   its leader, within a second; a claim
//	checkpoints   the manifests in a leader's memory   its leader, within a second, and each of its commits
//
// Without a leader, a manifest that is removed or damaged is lost, and so is its checkpoint. Recovery then uses the
// other checkpoint, or replays the stream if that still has its first entry, and otherwise returns journal.ErrDamaged.
// If the stream itself is removed or emptied under a leader, or another program writes to it, the leader appends again
// what memory holds, or returns ErrLost, journal.ErrForeign or journal.ErrDamaged for ever. It never begins a stream
// anew.
//
// # Entries
//
// An entry's id is epoch-number: the leader's term and a count of the entries it has sent. Redis refuses an id that is
// not above the last one, and the scripts append a group, a beat or a resignation only if the journal ends where the
// sender expects. This is the fence (I8).
//
//	epoch-0   type claim.1    prev POSITION  leader ADDRESS  nonce TEXT       sum HEX
//	epoch-n   type group.1    prev POSITION  first RECORD    count RECORDS    sum HEX    records BYTES
//	epoch-n   type beat.1
//	epoch-n   type resign.1
//
// A position is the id of a group or claim and its sum, an xxHash64. Groups and claims form a chain: prev is the
// position of the one before, so a missing entry is detected. The sum of a group covers prev and thereby identifies
// everything written up to that group. Redis fills in a claim's prev, so its sum cannot cover it; the claim's nonce
// makes the sum unique instead. Two claims of one epoch, the first of which Redis lost before it accepted the second,
// differ in their nonces.
//
// A claim begins an epoch. Its script compares the end of the stream, beats included, with what the claiming program
// has read, so a leader that is alive is not deposed, and of several standbys one succeeds. A beat shows that an idle
// leader is alive; it is not part of the chain. A beat replaces the beat right before it, so there is at most one per
// group, and it is trimmed with the group. Beats are entries rather than a key that expires, because a follower then
// waits for groups and beats in a single call and receives them in order: when it sees a beat, it has every group that
// precedes it. A resign entry is the leader's last one.
//
// # Appending
//
// A script receives the group and the position it must follow, compares, adds the entry and sets the tail: one round
// trip, and one transaction in the append-only file. Resending is harmless: the entry is already there, or it can
// still be added, or another leader has claimed. Every failure is therefore handled by resending the same bytes under
// the same id until Redis responds; the client's own retries are disabled. When the script finds a different tail, the
// leader reads the end of the stream itself, which also corrects the tail:
//
//	what happened                                       last entry of the stream      action
//	the request was lost, or Redis crashed before it    the group before              resend the group
//	the reply was lost, or Redis crashed after it       this group, by its sum        none: it was appended once
//	Redis restarted or failed over and lost its tail    an earlier entry of ours      append the missing groups again
//	likewise, including our claim                       the entry before our claim    append the claim and groups again
//	likewise, and more than memory holds                anything older                ErrLost, final
//	an operator deleted the stream or the tail key      none, or unchanged            append again, or ErrLost; set tail
//	another program wrote to the stream                 an entry of an unknown type   journal.ErrForeign, final
//	another leader has claimed                          an entry of a later epoch     journal.ErrFenced, final
//	another leader claimed an epoch that Redis lost     our epoch, another claim      journal.ErrFenced, final
//
// All of this happens before the group is acknowledged. A beat detects the same conditions. To append again, the
// leader keeps its most recent entries in memory, up to Options.ResendBytes of records. While Redis responds with an
// error that may pass (it is loading its data, is a replica, is out of memory or disk, lacks replicas, has lost its
// quorum, or expects another password), the leader retries, and Status.Retrying has the error. Every other error is
// final.
//
// # Checkpoints
//
// A checkpoint consists of pieces under separate keys. Each piece has a checksum that covers the pieces before it. A
// piece is stored by the call that appends a group, while there are groups, so that both share one sync. It has half a
// megabyte where a sync takes ten milliseconds, and less where a sync is faster, so that such a group takes a quarter
// longer. The
// manifest is written last, by a script that checks that all pieces exist. Two checkpoints are kept. The stream is
// trimmed up to the base entry of the older one; the base entry itself stays. Keys contain the leader's epoch, and a
// script changes something only while its caller is still the leader, so a deposed leader can neither overwrite nor
// remove nor trim.
//
// A commit reads again which checkpoints exist, and keeps the newest one that a recovery could use: its manifest is
// intact, all its pieces exist, and this leader's recovery has not found it damaged. The pieces of dropped and
// unfinished checkpoints, also of dead leaders, are removed after a commit and before the next checkpoint begins. A
// reader may still be reading a dropped one. It notices that the manifests have changed, and starts over; if it has
// delivered a part already, it returns ErrDiverged.
//
// # What Redis can lose
//
// With appendonly yes and appendfsync always, Redis syncs before it responds: acknowledged records survive a crash of
// Redis and of its machine. With everysec, a crash of the machine loses up to a second of records, or two with a slow
// disk. Without the append-only file, everything since the last snapshot is lost. As long as the leader is alive, it
// appends missing entries again; only what Redis and the leader lose together is lost. A standby may have read it:
// with Options.RequireSafe it does not claim the shorter journal, but keeps its copy, see ErrDiverged. Check reports
// which of these applies.
//
// A replica receives an entry after it was acknowledged. A replica that Sentinel, a cluster or a provider promotes may
// lack the last groups: a leader that is alive detects this and appends them again, but if the leader died together
// with the master, they are lost. Worse, a master cut off by a network partition does not detect that it was replaced.
// Until it rejoins, a leader on its side continues to acknowledge groups that will be discarded, while a standby on
// the other side claims the new master and sells the same seats: the fence holds only where there is one Redis.
// min-replicas-to-write and min-replicas-max-lag shorten that time; nothing in Redis eliminates it. Check therefore
// reports a Redis with any sign of a failover as not safe, whatever it syncs:
//
//	sign                                                  where
//	a replica is connected                                INFO connected_slaves
//	a replica was connected, up to repl-backlog-ttl ago   INFO repl_backlog_active
//	it was promoted, or has loaded a master's snapshot    INFO master_replid2
//	a failover is in progress                             INFO master_failover_state
//	Sentinel watches it, with or without replicas         the address; PUBSUB NUMSUB __sentinel__:hello
//	the cluster knows replicas of it                      CLUSTER NODES
//
// A proxy that answers INFO by itself, or a program that imitates Redis, lacks some of its fields. A proxy that only
// forwards connections is not visible, and needs a replica to fail over to, which is. A provider that hides its
// replicas as well denies CONFIG, and a Redis whose settings cannot be read is not safe. For such a Redis, Check
// measures whether writes take longer than reads. If they do not, they are certainly not synced; if they do, that
// proves nothing.
//
// # When a guarantee is lost
//
// Check asks once. The journal asks again every Options.CheckEvery and after every new connection, logs each change,
// and shows the present state in Condition. With Options.RequireSafe, which a server sets for the durability sync
// unless its operator has accepted the loss, it acknowledges a group only while Redis is safe (I5): Append waits,
// Withheld says why, and the engine refuses calls. The leader beats meanwhile, since a standby would find the same
// Redis. When the guarantee is restored, a beat syncs what was written before, and Append returns. Groups that were
// acknowledged before the check noticed the change, up to CheckEvery, had only the weaker guarantee. A change that did
// not last until the next check is not noticed.
//
// # Rights
//
// A user of Redis needs these rights, here for journals of all names; ~{seathold:NAME}:* permits one:
//
//	ACL SETUSER seathold on >PASSWORD ~{seathold:* resetchannels -@all
//	  +hello +select +info +config|get +pubsub|numsub
//	  +type +get +mget +strlen +set +del +exists +unlink +hget +hgetall +hset +hkeys +hdel
//	  +xadd +xlen +xrange +xrevrange +xread +xdel +xtrim +eval +evalsha
//
// In a cluster, +cluster|slots +cluster|nodes are needed, too, and +command saves the client a second request for each
// call. OpenReadOnly needs +get +mget +hgetall +xrange.
//
// # Cost
//
// The script costs as much as a bare XADD, plus the copies that Lua makes of its arguments. Without a file, a group of
// one record of 57 bytes took 41 µs and the bare XADD 25 µs; a group of 1,000 records took 425 µs and 204 µs, most of
// it for fresh memory. This is little next to a sync of half a millisecond or more, and no append needs a second call
// to learn its outcome.
//
//	go test -run '^$' -bench . ./engine/journal/redis
//
// prints the figures for the machine at hand, beside reservations made by a Lua script in the same Redis.
package redis
