package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of a key file.
const (
	minKey     = 16 // bytes
	maxKey     = 256
	maxName    = 64
	maxKeys    = 1000
	maxKeyFile = 1 << 20 // bytes, with comments
)

// keyLine is a line of a key file.
type keyLine struct {
	number int
	digest digest
	role   Role
	name   string
}

// ParseKeys reads lines `role key name`:
//
//   - The role is read, sell or admin.
//   - The key has 16 to 256 printable ASCII characters.
//   - The name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and is not "anonymous". Keys that share a name have the
//     same role. Without a name the key is named after its role.
//
// Empty lines and lines that begin with # are skipped. There is at least one key and at most 1,000. Errors name the
// line, never the key.
func ParseKeys(r io.Reader) (*Keys, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	keys := &Keys{}
	if _, err = keys.replace(text); err != nil {
		return nil, err
	}
	return keys, nil
}

// parseKeyFile reads the lines that have keys.
func parseKeyFile(text []byte) ([]keyLine, error) {
	var all []keyLine
	seen, named := map[digest]int{}, map[string]keyLine{}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) { // some editors begin a file with a mark
		number++
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		l, err := parseKeyLine(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		l.number = number
		if first, twice := seen[l.digest]; twice {
			return nil, fmt.Errorf("line %d: the key is already on line %d", number, first)
		}
		seen[l.digest] = number
		if first, again := named[l.name]; again && first.role != l.role {
			return nil, fmt.Errorf("line %d: %q has the role %s on line %d; keys that share a name have the same role",
				number, l.name, first.role, first.number)
		} else if !again {
			named[l.name] = l
		}
		if all = append(all, l); len(all) > maxKeys {
			return nil, fmt.Errorf("line %d: more than %d keys", number, maxKeys)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the file has no key")
	}
	return all, nil
}

func parseKeyLine(words []string) (l keyLine, err error) {
	if len(words) < 2 || len(words) > 3 {
		return l, fmt.Errorf("has %d words instead of a role, a key and a name", len(words))
	}
	if l.role = Role(slices.Index(roleNames, words[0])); l.role < Read {
		return l, fmt.Errorf("the role must be read, sell or admin")
	}
	key := words[1]
	if len(key) < minKey || len(key) > maxKey {
		return l, fmt.Errorf("the key has %d characters; it must have %d to %d", len(key), minKey, maxKey)
	}
	if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return l, fmt.Errorf("the key has a character that is not printable ASCII")
	}
	l.digest = sha256.Sum256([]byte(key))
	if l.name = l.role.String(); len(words) == 3 {
		l.name = words[2]
		err = checkKeyName(l.name, key)
	}
	return l, err
}

// checkKeyName checks the name of a key. Metrics and logs show names, so a line whose key and name are swapped must not
// be accepted: of two words that could both be keys, the longer one is the key. Errors do not quote the name, which may
// be the key.
func checkKeyName(name, key string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("the name has %d characters; it may have at most %d", len(name), maxName)
	case strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	}):
		return fmt.Errorf("the name has a character other than A-Z a-z 0-9 . _ -")
	case len(name) >= minKey && len(name) >= len(key):
		return fmt.Errorf("the name is as long as the key, and could be one: the order is role, key, name; "+
			"use a name of less than %d characters or a longer key", minKey)
	case name == Anonymous:
		return fmt.Errorf("the name %s is that of callers without a key", Anonymous)
	}
	return nil
}
