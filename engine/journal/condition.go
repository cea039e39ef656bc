package journal

import "errors"

// ErrUnsafe is wrapped by what Monitored.Withheld returns: the store no longer guarantees that acknowledged records
// survive.
var ErrUnsafe = errors.New("the journal may lose what it acknowledges")

// Monitored is a backend whose store can fail or weaken its guarantees for a while. Both methods may be called at any
// time by any goroutine.
type Monitored interface {
	Backend

	// Condition returns the present condition of the store.
	Condition() Condition

	// Withheld returns why no group is acknowledged now, although later ones may be; nil if groups are acknowledged. While
	// it returns an error, the leader beats and Append waits. It costs an atomic load: every call to the engine makes it.
	Withheld() error
}

// Condition is how a store is doing.
type Condition struct {
	// Retrying is why calls to the store fail and are being retried now; nil while they succeed.
	Retrying error
	// Retries counts the attempts that failed and were followed by another one, since the backend was opened.
	Retries uint64
	// Resent counts the groups that were appended again because the store had lost them after it had acknowledged them.
	Resent uint64
	// Unsafe has the reasons why a crash or a failover of the store may lose acknowledged records; empty if it keeps them.
	Unsafe []string
}
