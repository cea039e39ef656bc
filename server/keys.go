package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/seathold/seathold/server/internal/secretfile"
)

// Role is what a caller may do. A higher role includes the lower ones.
type Role int

// The roles.
const (
	Read  Role = 1 + iota // all GETs
	Sell                  // also reservations and entries
	Admin                 // everything
)

// roleNames are the names of the roles in a key file.
var roleNames = []string{Read: "read", Sell: "sell", Admin: "admin"}

// String returns the name of the role in a key file, "none" for callers without a valid key.
func (r Role) String() string {
	if r < Read || int(r) >= len(roleNames) {
		return "none"
	}
	return roleNames[r]
}

// Anonymous is the name of callers without a valid key, and of every caller of a server without a key file. A key file
// cannot use it.
const Anonymous = "anonymous"

// MaxCallers is the number of different callers that a process can have: Caller.Index is below it.
const MaxCallers = 4096

// Caller is who makes a request, as its key identifies it.
type Caller struct {
	// Name is the name of the key. Keys may share a name, for example the old and the new one of a rotation; they are one
	// caller. Names are no secrets, and label metrics and logs.
	Name string
	// Role is what the caller may do; 0 without a valid key. Without a key file every caller is an Admin.
	Role Role
	// Index numbers the names, for arrays of counters. A name keeps its index for the life of the process, also when its
	// key is removed and added again. Index 0 is Anonymous.
	Index int
}

// digest is what is kept of a key.
type digest = [sha256.Size]byte

// Keys are the keys of callers, as a file has them. Only their digests are kept in memory. The methods may be called by
// any number of goroutines. A nil *Keys is a server without a key file.
type Keys struct {
	path    string
	current atomic.Pointer[keyTable] // replaced as a whole, never changed
	reload  sync.Mutex               // one Reload at a time
}

// keyTable is the content of a key file.
//
// A lookup by digest takes a time that depends on the digest, and may show how much of it some stored digest shares.
// That is of no use for guessing a key: nobody can choose a key by its digest, similar keys have unrelated digests, and
// the map hashes digests with a seed of its own. A comparison of the keys themselves would have to be constant in time.
type keyTable struct {
	callers map[digest]Caller
	names   []string // of every caller since the process began, by Caller.Index
}

// LoadKeys reads a key file in the format of ParseKeys. A warning that is not empty is for the operator's log.
func LoadKeys(path string) (keys *Keys, warning string, err error) {
	keys = &Keys{path: path}
	if _, warning, err = keys.Reload(); err != nil {
		return nil, warning, err
	}
	return keys, warning, nil
}

// Reload reads the file of LoadKeys again. If the file is faulty, or would have given the process more than MaxCallers
// callers, the error names the line, and the keys stay as they were. Requests that have begun keep their caller.
func (k *Keys) Reload() (change KeyChange, warning string, err error) {
	k.reload.Lock()
	defer k.reload.Unlock()
	text, warning, err := secretfile.Read(k.path, maxKeyFile)
	if err != nil {
		return change, warning, fmt.Errorf("keys: %w", err)
	}
	change, err = k.replace(text)
	if err != nil {
		return change, warning, fmt.Errorf("keys: %s: %w", k.path, err)
	}
	return change, warning, nil
}

// replace replaces the keys by those of a file's text.
func (k *Keys) replace(text []byte) (KeyChange, error) {
	lines, err := parseKeyFile(text)
	if err != nil {
		return KeyChange{}, err
	}
	before := k.current.Load()
	if before == nil {
		before = &keyTable{names: []string{Anonymous}}
	}
	after := &keyTable{callers: make(map[digest]Caller, len(lines)), names: slices.Clip(before.names)}
	indexes := make(map[string]int, len(before.names))
	for index, name := range before.names {
		indexes[name] = index
	}
	for _, l := range lines {
		index, known := indexes[l.name]
		if !known {
			if index = len(after.names); index == MaxCallers {
				return KeyChange{}, fmt.Errorf("line %d: the name is new, and the server has had %d names since it started; "+
					"use an earlier name or restart the server", l.number, MaxCallers-1)
			}
			indexes[l.name] = index
			after.names = append(after.names, l.name)
		}
		after.callers[l.digest] = Caller{Name: l.name, Role: l.role, Index: index}
	}
	k.current.Store(after)
	return differenceOf(before, after), nil
}

// CallerOf returns the caller with the key in an Authorization header; without a valid key, Anonymous without a role.
// It does not allocate.
func (k *Keys) CallerOf(authorization []byte) Caller {
	if k == nil {
		return Caller{Name: Anonymous, Role: Admin}
	}
	const scheme = "bearer "
	if len(authorization) > len(scheme) && bytes.EqualFold(authorization[:len(scheme)], []byte(scheme)) {
		key := bytes.TrimLeft(authorization[len(scheme):], " ") // RFC 9110, section 11.4, permits several spaces
		if len(key) >= minKey && len(key) <= maxKey {
			if caller, found := k.current.Load().callers[sha256.Sum256(key)]; found {
				return caller
			}
		}
	}
	return Caller{Name: Anonymous}
}

// Names returns the name of every caller that there has been since the process began, by Caller.Index. The result is
// not to be changed.
func (k *Keys) Names() []string {
	if k == nil {
		return []string{Anonymous}
	}
	return k.current.Load().names
}

// KeyChange is what Reload changed, by the names of keys, each list in alphabetical order.
type KeyChange struct {
	Added   []string // have keys now
	Removed []string // have none any more
	Rotated []string // have other keys than before
	Roles   []string // have another role, as "shop: sell to admin"
}

// differenceOf compares two tables.
func differenceOf(before, after *keyTable) (change KeyChange) {
	old, now := before.byName(), after.byName()
	for name, caller := range now {
		earlier, known := old[name]
		switch {
		case !known:
			change.Added = append(change.Added, name)
			continue
		case earlier.role != caller.role:
			change.Roles = append(change.Roles, fmt.Sprintf("%s: %s to %s", name, earlier.role, caller.role))
		}
		if !slices.Equal(earlier.keys, caller.keys) {
			change.Rotated = append(change.Rotated, name)
		}
	}
	for name := range old {
		if _, kept := now[name]; !kept {
			change.Removed = append(change.Removed, name)
		}
	}
	for _, names := range [][]string{change.Added, change.Removed, change.Rotated, change.Roles} {
		slices.Sort(names)
	}
	return change
}

// namedKeys are the keys that share a name.
type namedKeys struct {
	role Role
	keys []string // digests, sorted
}

func (t *keyTable) byName() map[string]namedKeys {
	all := map[string]namedKeys{}
	for key, caller := range t.callers {
		all[caller.Name] = namedKeys{caller.Role, append(all[caller.Name].keys, string(key[:]))}
	}
	for _, named := range all {
		slices.Sort(named.keys)
	}
	return all
}

// String lists what changed, for the log.
func (c KeyChange) String() string {
	var parts []string
	for _, list := range []struct {
		what  string
		names []string
	}{{"added", c.Added}, {"removed", c.Removed}, {"rotated", c.Rotated}, {"role changed", c.Roles}} {
		if len(list.names) > 0 {
			parts = append(parts, list.what+" "+strings.Join(list.names, ", "))
		}
	}
	if parts == nil {
		return "nothing changed"
	}
	return strings.Join(parts, "; ")
}
