package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"strings"
)

// Role is what a caller may do. A higher role may do all that a lower one may.
type Role int

// The roles.
const (
	Read  Role = 1 + iota // all GETs
	Sell                  // reservations, too
	Admin                 // everything
)

// The limits of a key file.
const (
	minKey  = 16 // bytes
	maxKey  = 256
	maxKeys = 1000
)

// Keys are the callers' keys. Only their digests are kept.
type Keys struct{ entries []keyEntry }

type keyEntry struct {
	digest [sha256.Size]byte
	role   Role
}

// LoadKeys reads a key file. The warning, if it is not empty, is for the operator.
func LoadKeys(path string) (keys *Keys, warning string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	if info.Mode().Perm()&0o004 != 0 {
		warning = fmt.Sprintf("keys: %s is readable by everybody on this machine; chmod 600 it", path)
	}
	keys, err = ParseKeys(file)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %s: %w", path, err)
	}
	return keys, warning, nil
}

// ParseKeys reads lines `role key`: role is sell, admin or read, key 16 to 256 printable characters. Empty lines and those
// that begin with # are skipped. Errors name the line, never the key.
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
			return nil, fmt.Errorf("line %d: has %d words, not a role and a key", n, len(fields))
		}
		entry, err := parseKey(fields[0], fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, twice := seen[entry.digest]; twice {
			return nil, fmt.Errorf("line %d: the key is there already, on line %d", n, first)
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
		return nil, fmt.Errorf("there is no key in it")
	}
	return keys, nil
}

func parseKey(role, key string) (keyEntry, error) {
	entry := keyEntry{digest: sha256.Sum256([]byte(key))}
	switch role {
	case "read":
		entry.role = Read
	case "sell":
		entry.role = Sell
	case "admin":
		entry.role = Admin
	default:
		return entry, fmt.Errorf("the role is none of sell, admin and read")
	}
	if len(key) < minKey || len(key) > maxKey {
		return entry, fmt.Errorf("the key has %d characters, not %d to %d", len(key), minKey, maxKey)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return entry, fmt.Errorf("the key has a character that is not printable ASCII")
		}
	}
	return entry, nil
}

// KeyRule tells a caller without a valid key how to send one.
const KeyRule = "send a valid key as Authorization: Bearer KEY"

// RoleOf returns the role of the key in an Authorization header, 0 for none. The time it takes depends on the length of
// what the caller sent and on the number of keys, not on how much of a key was right.
func (k *Keys) RoleOf(authorization []byte) Role {
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
