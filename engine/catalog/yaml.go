package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document is a YAML file being read. It keeps the first fault, after which every read returns a zero value; the reader of
// a long definition asks once per section instead of after each of its fields.
type document struct {
	file  string
	fault *FieldError
}

// field is one value of a document with the path of keys that leads to it. A field that is absent has no node, and reads as
// the zero value of whatever is asked.
type field struct {
	in   *document
	path string
	line int
	node *yaml.Node
}

// entry is one key and value of a mapping whose keys are free. The key's own line is in at.
type entry struct {
	key string
	at  field
}

// readDocument parses a file that must hold one YAML document.
func readDocument(fsys fs.FS, file string) (field, *FieldError) {
	text, fault := readText(fsys, file, maxYAMLBytes)
	if fault != nil {
		return field{}, fault
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil {
		return field{}, yamlFault(file, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return field{}, &FieldError{File: file, Line: second.Line, Field: "document", Rule: "is the second in this file, one is allowed"}
	} else if !errors.Is(err, io.EOF) {
		return field{}, yamlFault(file, err)
	}
	return field{in: &document{file: file}, line: 1, node: root.Content[0]}, nil
}

// yamlFault says what the parser found. It puts the line into its message, and means the one before at times.
func yamlFault(file string, err error) *FieldError {
	fault := &FieldError{File: file, Line: 1, Field: "document", Err: err}
	if errors.Is(err, io.EOF) {
		fault.Rule = "is missing, the file is empty"
		return fault
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if n, scanErr := fmt.Sscanf(message, "line %d:", &fault.Line); n == 1 && scanErr == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	fault.Rule = "is no valid YAML near this line: " + message
	return fault
}

// faultf records the first fault of the document. It says that the field is at fault and how.
func (f field) faultf(format string, facts ...any) {
	if f.in.fault == nil {
		path := f.path
		if path == "" {
			path = "document"
		}
		f.in.fault = &FieldError{File: f.in.file, Line: f.line, Field: path, Rule: fmt.Sprintf(format, facts...)}
	}
}

func (f field) present() bool { return f.node != nil }

// child is the field at a key or position of f. A line is kept for absent ones too: that of the mapping they belong in.
func (f field) child(name string, node *yaml.Node) field {
	path := name
	if f.path != "" {
		path = f.path + "." + name
	}
	line := f.line
	if node != nil {
		line = node.Line
	}
	return field{in: f.in, path: path, line: line, node: node}
}

// holds reports whether the node is of the kind that is wanted, and plain: without anchor, alias or tag.
func (f field) holds(kind yaml.Kind, wanted string) bool {
	switch {
	case f.node == nil:
		return false
	case f.node.Kind == yaml.AliasNode || f.node.Anchor != "" || f.node.Style&yaml.TaggedStyle != 0:
		f.faultf("uses an anchor, alias or tag, which a sale definition does not")
		return false
	case f.node.Kind != kind || f.node.ShortTag() == "!!null":
		f.faultf("must be %s", wanted)
		return false
	}
	return true
}

// entries reads a mapping whose keys are the author's, in their order. Repeated keys are refused.
func (f field) entries() []entry {
	if !f.holds(yaml.MappingNode, "a mapping of keys to values") {
		return nil
	}
	seen := make(map[string]int, len(f.node.Content)/2)
	entries := make([]entry, 0, len(f.node.Content)/2)
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		key := f.child("key", f.node.Content[i])
		name := key.text()
		if f.in.fault != nil {
			return nil
		}
		at := f.child(name, f.node.Content[i+1])
		at.line = key.line
		if first, repeated := seen[name]; repeated {
			at.faultf("is there twice, first on line %d", first)
			return nil
		}
		seen[name] = key.line
		entries = append(entries, entry{key: name, at: at})
	}
	return entries
}

// object reads a mapping with known keys: required ones and optional ones, given as `key?`.
func (f field) object(keys ...string) map[string]field {
	values := make(map[string]field, len(keys))
	for _, key := range keys {
		name := strings.TrimSuffix(key, "?")
		values[name] = f.child(name, nil)
	}
	for _, e := range f.entries() {
		if _, known := values[e.key]; !known {
			e.at.faultf("is no key here; known are %s", strings.ReplaceAll(strings.Join(keys, ", "), "?", ""))
		}
		values[e.key] = e.at
	}
	for _, key := range keys {
		if !strings.HasSuffix(key, "?") && !values[key].present() && f.present() {
			values[key].faultf("is missing")
		}
	}
	return values
}

// list reads a sequence.
func (f field) list() []field {
	if !f.holds(yaml.SequenceNode, "a list") {
		return nil
	}
	fields := make([]field, len(f.node.Content))
	for i, node := range f.node.Content {
		fields[i] = f.child(fmt.Sprintf("%d", i+1), node)
	}
	return fields
}

// text reads a text for people.
func (f field) text() string {
	if !f.holds(yaml.ScalarNode, "text") {
		return ""
	}
	if f.node.ShortTag() != "!!str" {
		f.faultf("must be text; put %q into quotes if it is", f.node.Value)
		return ""
	}
	if rule := textRule(f.node.Value); rule != "" {
		f.faultf("%s", rule)
		return ""
	}
	return f.node.Value
}

// id reads the id of something; see idRule for the punctuation it may have.
func (f field) id(punctuation string) string {
	id := f.text()
	if rule := idRule(id, punctuation); rule != "" && f.present() {
		f.faultf("%s", rule)
		return ""
	}
	return id
}

// oneOf reads one of a few words.
func (f field) oneOf(words ...string) string {
	word := f.text()
	if !slices.Contains(words, word) && f.present() {
		f.faultf("is %.40q, must be %s", word, strings.Join(words, " or "))
		return ""
	}
	return word
}

func (f field) number(least, most int) int {
	if !f.holds(yaml.ScalarNode, "a whole number") {
		return 0
	}
	n, ok := wholeNumber(f.node.Value, least, most)
	if ok && f.node.ShortTag() != "!!int" {
		f.faultf("must be a whole number, without quotes")
		return 0
	}
	if !ok {
		f.faultf("%.40q is no whole number from %d to %d", f.node.Value, least, most)
		return 0
	}
	return n
}

func (f field) truth() bool {
	if !f.holds(yaml.ScalarNode, "true or false") {
		return false
	}
	if f.node.ShortTag() != "!!bool" || (f.node.Value != "true" && f.node.Value != "false") {
		f.faultf("%.40q is neither true nor false", f.node.Value)
	}
	return f.node.Value == "true"
}

// duration reads a time span in whole minutes, such as 48h or 90m.
func (f field) duration(most time.Duration) time.Duration {
	text := f.text()
	d, err := time.ParseDuration(text)
	if f.present() && (err != nil || d < time.Minute || d > most || d%time.Minute != 0) {
		f.faultf("%.40q is no span of whole minutes up to %d hours, such as 48h or 90m", text, int(most.Hours()))
		return 0
	}
	return d
}

// moment reads a local time. YAML takes some spellings for timestamps of its own; only the text counts here.
func (f field) moment(zone *time.Location) time.Time {
	if !f.holds(yaml.ScalarNode, "a time such as 2023-11-30 10:00") {
		return time.Time{}
	}
	instant, err := parseLocal(f.node.Value, zone)
	if err != nil {
		f.faultf("%s", err)
		return time.Time{}
	}
	return instant.UTC()
}

// hex reads a byte string of exactly size bytes in lower-case hexadecimal digits.
func (f field) hex(size int) string {
	if !f.holds(yaml.ScalarNode, "hexadecimal digits") {
		return ""
	}
	value := f.node.Value
	if len(value) != 2*size || strings.Trim(value, "0123456789abcdef") != "" {
		f.faultf("must be %d bytes as %d hexadecimal digits in lower case", size, 2*size)
		return ""
	}
	return value
}
