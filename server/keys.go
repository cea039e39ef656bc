package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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

// Limits of a key file.
const (
	minKey  = 16 // bytes
	maxKey  = 256
	maxKeys = 1000
)

// Keys are the keys of callers. Only their digests are kept in memory.
type Keys struct{ entries []keyEntry }

type keyEntry struct {
	digest [sha256.Size]byte
	role   Role
}

// LoadKeys reads a key file in the format of ParseKeys. A warning that is not empty is for the operator's log.
func LoadKeys(path string) (keys *Keys, warning string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	if info.Mode().Perm()&0o004 != 0 {
		warning = fmt.Sprintf("keys: %s is readable by all users of this machine; chmod 600 it", path)
	}
	keys, err = ParseKeys(file)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %s: %w", path, err)
	}
	return keys, warning, nil
}

// ParseKeys reads lines `role key`: the role is read, sell or admin; the key has 16 to 256 printable ASCII characters.
// Empty lines and lines that begin with # are skipped. There is at least one key and at most 1,000. Errors name the
// line, never the key.
func ParseKeys(r io.Reader) (*Keys, error) {
	keys := &Keys{}
	seen := map[[sha256.Size]byte]int{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: has %d words instead of a role and a key", n, len(fields))
		}
		entry, err := parseKey(fields[0], fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, twice := seen[entry.digest]; twice {
			return nil, fmt.Errorf("line %d: the key is already on line %d", n, first)
		}
		seen[entry.digest] = n
		if keys.entries = append(keys.entries, entry); len(keys.entries) > maxKeys {
			return nil, fmt.Errorf("line %d: more than %d keys", n, maxKeys)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys.entries) == 0 {
		return nil, fmt.Errorf("the file has no key")
	}
	return keys, nil
}

func parseKey(role, key string) (keyEntry, error) {
	entry := keyEntry{digest: sha256.Sum256([]byte(key))}
	if entry.role = Role(slices.Index(roleNames, role)); entry.role < Read {
		return entry, fmt.Errorf("the role must be read, sell or admin")
	}
	if len(key) < minKey || len(key) > maxKey {
		return entry, fmt.Errorf("the key has %d characters; it must have %d to %d", len(key), minKey, maxKey)
	}
	if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return entry, fmt.Errorf("the key has a character that is not printable ASCII")
	}
	return entry, nil
}

// RoleOf returns the role of the key in an Authorization header, 0 without a valid one. Without a key file k is nil and
// every caller is an Admin. The time depends on the length of the header and the number of keys, not on how much of a
// key matched.
func (k *Keys) RoleOf(authorization []byte) Role {
	if k == nil {
		return Admin
	}
	scheme, key, _ := bytes.Cut(authorization, []byte(" "))
	if !bytes.EqualFold(scheme, []byte("bearer")) || len(key) < minKey || len(key) > maxKey {
		return 0
	}
	digest := sha256.Sum256(key)
	role := 0
	for i := range k.entries {
		same := subtle.ConstantTimeCompare(digest[:], k.entries[i].digest[:])
		role = subtle.ConstantTimeSelect(same, int(k.entries[i].role), role)
	}
	return Role(role)
}
