package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// field is one value of sale.yaml with the path of keys that leads to it. An absent field has no node. An absent field
// and a faulty one read as a zero value.
type field struct {
	in   *report
	path string
	line int
	node *yaml.Node
}

// entry is one key and value of a mapping whose keys the author chooses. at has the line of the key. A key that breaks
// a rule is faulty; that is reported.
type entry struct {
	key    string
	at     field
	faulty bool
}

// readDocument parses sale.yaml, which must hold one YAML document.
func (l *loader) readDocument() (root field) {
	root = field{in: &l.report, line: 1}
	text, ok := l.read(l.files, saleFile, maxYAMLBytes)
	if !ok {
		return root
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		l.yamlFault(err)
		return root
	}
	if err := decoder.Decode(&second); err == nil {
		l.faultf(saleFile, second.Line, "document", "is the second in this file; only one is allowed")
		l.markUnread(saleFile)
		return root
	} else if !errors.Is(err, io.EOF) {
		l.yamlFault(err)
		return root
	}
	root.node = first.Content[0]
	return root
}

// yamlFault reports an error of the parser. The parser puts the line into its message; it is sometimes one too low.
func (r *report) yamlFault(err error) {
	r.markUnread(saleFile)
	if errors.Is(err, io.EOF) {
		r.faultf(saleFile, 1, "document", "missing: the file is empty")
		return
	}
	line, message := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if n, scanErr := fmt.Sscanf(message, "line %d:", &line); n == 1 && scanErr == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	r.faultf(saleFile, line, "document", "invalid YAML on or near this line: %s", message)
}

func (f field) faultf(format string, facts ...any) {
	path := f.path
	if path == "" {
		path = "document"
	}
	f.in.faultf(saleFile, f.line, path, format, facts...)
}

func (f field) present() bool { return f.node != nil }

// isEmpty reports whether the field is a mapping without keys.
func (f field) isEmpty() bool {
	return f.node != nil && f.node.Kind == yaml.MappingNode && len(f.node.Content) == 0
}

// child returns the field at a key or position of f. An absent field gets the line of the mapping it belongs to.
func (f field) child(name string, node *yaml.Node) field {
	path, line := name, f.line
	if f.path != "" {
		path = f.path + "." + name
	}
	if node != nil {
		line = node.Line
	}
	return field{in: f.in, path: path, line: line, node: node}
}

// holds reports whether the node is of the wanted kind, without anchor, alias or tag. Otherwise it reports a fault,
// unless the field is absent.
func (f field) holds(kind yaml.Kind, wanted string) bool {
	switch {
	case f.node == nil:
		return false
	case f.node.Kind == yaml.AliasNode || f.node.Anchor != "" || f.node.Style&yaml.TaggedStyle != 0:
		f.faultf("must not use an anchor, alias or tag; write the value itself")
		return false
	case f.node.Kind != kind || f.node.ShortTag() == "!!null":
		f.faultf("must be %s", wanted)
		return false
	}
	return true
}

// entries reads a mapping whose keys the author chooses, in their order. Of repeated keys it returns the first.
func (f field) entries() []entry {
	if !f.holds(yaml.MappingNode, "a mapping of keys to values") {
		return nil
	}
	seen := make(map[string]int, len(f.node.Content)/2)
	entries := make([]entry, 0, len(f.node.Content)/2)
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		key := f.child("key", f.node.Content[i])
		name, faulty := key.text(), false
		if name == "" {
			name, faulty = key.node.Value, true
		}
		at := f.child(name, f.node.Content[i+1])
		at.line = key.line
		if first, repeated := seen[name]; repeated {
			at.faultf("duplicate of line %d; remove or rename one of them", first)
			continue
		}
		seen[name] = key.line
		entries = append(entries, entry{key: name, at: at, faulty: faulty})
	}
	return entries
}

// object reads a mapping with known keys. A key given as `key?` is optional.
func (f field) object(keys ...string) map[string]field {
	values := make(map[string]field, len(keys))
	for _, key := range keys {
		name := strings.TrimSuffix(key, "?")
		values[name] = f.child(name, nil)
	}
	unreadable := f.present() && f.node.Kind != yaml.MappingNode
	for _, e := range f.entries() {
		if _, known := values[e.key]; known {
			values[e.key] = e.at
		} else if e.faulty {
			unreadable = true // it may be any key
		} else {
			e.at.faultf("unknown key; the keys allowed here are %s", strings.ReplaceAll(strings.Join(keys, ", "), "?", ""))
		}
	}
	for _, key := range keys {
		if !strings.HasSuffix(key, "?") && !values[key].present() && f.present() && !unreadable {
			values[key].faultf("is required")
		}
	}
	return values
}

// key returns the field at a key of a mapping that was read before.
func (f field) key(name string) field {
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		if key := f.node.Content[i]; key.Value == name {
			at := f.child(name, f.node.Content[i+1])
			at.line = key.Line
			return at
		}
	}
	return f.child(name, nil)
}

// list reads a sequence.
func (f field) list() []field {
	if !f.holds(yaml.SequenceNode, "a list") {
		return nil
	}
	fields := make([]field, len(f.node.Content))
	for i, node := range f.node.Content {
		fields[i] = f.child(fmt.Sprint(i+1), node)
	}
	return fields
}

// text reads a text for people.
func (f field) text() string {
	if !f.holds(yaml.ScalarNode, "text") {
		return ""
	}
	if f.node.ShortTag() != "!!str" {
		f.faultf("must be text; put %q in quotes if it is", f.node.Value)
		return ""
	}
	if rule := textRule(f.node.Value); rule != "" {
		f.faultf("%s", rule)
		return ""
	}
	return f.node.Value
}

// id reads an id with the given punctuation; see idRule.
func (f field) id(punctuation string) string {
	id := f.text()
	if id == "" {
		return ""
	}
	if rule := idRule(id, punctuation); rule != "" {
		f.faultf("%s", rule)
		return ""
	}
	return id
}

// oneOf reads one of two or more words.
func (f field) oneOf(words ...string) string {
	word := f.text()
	if word != "" && !slices.Contains(words, word) {
		last := len(words) - 1
		f.faultf("must be %s or %s, not %.40q", strings.Join(words[:last], ", "), words[last], word)
		return ""
	}
	return word
}

// number reads a whole number. It may have a minus if least is negative.
func (f field) number(least, most int) int {
	if !f.holds(yaml.ScalarNode, "a whole number") {
		return 0
	}
	n, ok := signedNumber(f.node.Value, least, most)
	if !ok {
		f.faultf("must be a whole number from %d to %d, not %.40q", least, most, f.node.Value)
		return 0
	}
	if f.node.ShortTag() != "!!int" {
		f.faultf("must be a whole number; remove the quotes")
		return 0
	}
	return n
}

func (f field) truth() bool {
	if !f.holds(yaml.ScalarNode, "true or false") {
		return false
	}
	if f.node.ShortTag() != "!!bool" || (f.node.Value != "true" && f.node.Value != "false") {
		f.faultf("must be true or false, not %.40q", f.node.Value)
	}
	return f.node.Value == "true"
}

// duration reads a duration in whole minutes, such as 48h or 90m.
func (f field) duration(most time.Duration) time.Duration {
	text := f.text()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute || d > most || d%time.Minute != 0 {
		f.faultf("must be a duration in whole minutes up to %d hours, such as 48h or 90m, not %.40q", int(most.Hours()), text)
		return 0
	}
	return d
}

// moment reads a local time. It uses the text as written, because YAML takes some spellings for timestamps of its own.
// The zone is nil if it is not known; the time is then as in UTC.
func (f field) moment(zone *time.Location) time.Time {
	if !f.holds(yaml.ScalarNode, "a time such as 2023-11-30 10:00") {
		return time.Time{}
	}
	if zone == nil {
		zone = time.UTC
	}
	instant, err := parseLocal(f.node.Value, zone)
	if err != nil {
		f.faultf("%s", err)
		return time.Time{}
	}
	return instant.UTC()
}

// zone reads a time zone; nil if the field is absent or faulty.
func (f field) zone() *time.Location {
	name := f.text()
	if name == "" {
		return nil
	}
	zone, err := LoadZone(name)
	if err != nil {
		f.faultf("%s", err)
		return nil
	}
	return zone
}

// hex reads exactly size bytes written in lower-case hexadecimal digits.
func (f field) hex(size int) string {
	if !f.holds(yaml.ScalarNode, "hexadecimal digits") {
		return ""
	}
	value := f.node.Value
	if len(value) != 2*size || strings.Trim(value, "0123456789abcdef") != "" {
		f.faultf("must be %d bytes as %d lower-case hexadecimal digits", size, 2*size)
		return ""
	}
	return value
}
