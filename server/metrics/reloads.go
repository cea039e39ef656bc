package metrics

import (
	"maps"
	"sync"
	"time"
)

// Reloads are the results of reading files again while the server runs. The zero value has none. It may be used by any
// number of goroutines.
type Reloads struct {
	mu   sync.Mutex
	last map[string]reload // by files
}

// reload is the last attempt to read files.
type reload struct {
	at     time.Time // of the last success
	failed bool      // since then
}

// Succeeded records that files, such as "keys", were read at a time: at the start of the server, or again.
func (r *Reloads) Succeeded(files string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[string]reload{}
	}
	r.last[files] = reload{at: at}
}

// Failed records that files that were read before could not be read again, and that their former content stays in
// force.
func (r *Reloads) Failed(files string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[files] = reload{at: r.last[files].at, failed: true}
}

func (p page) reloads(r *Reloads) {
	if r == nil {
		return
	}
	r.mu.Lock()
	all := maps.Clone(r.last)
	r.mu.Unlock()
	for files, last := range all {
		p.gauge("reload_successful", truth(!last.failed), files)
		p.gauge("reload_last_success_timestamp_seconds", float64(last.at.UnixMilli())/1000, files)
	}
}
