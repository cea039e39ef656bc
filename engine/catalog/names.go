package catalog

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// spellings has the names of one kind, to refuse two that look the same. An exclusion of `surfing` would not
// match the sessions of `Surfing`.
type spellings struct {
	where map[string]string // by name as it is written: where it was first
	names map[string]string // by key
}

// note adds a name. If another one looks the same, it returns the rule that is broken.
func (s *spellings) note(name, file string, line int) (rule string) {
	if _, known := s.where[name]; known || name == "" {
		return ""
	}
	if s.where == nil {
		s.where, s.names = map[string]string{}, map[string]string{}
	}
	s.where[name] = fmt.Sprintf("%s:%d", file, line)
	key := nameKey(name)
	other, taken := s.names[key]
	if !taken {
		s.names[key] = name
		return ""
	}
	return fmt.Sprintf("%.40q looks the same as %.40q in %s: they differ only in case, spaces or the form of characters; "+
		"write both the same, or rename one", name, other, s.where[other])
}

// hint returns what to add to the error for an unknown name if a known one looks the same; otherwise "".
func (s *spellings) hint(name string) string {
	if other, known := s.names[nameKey(name)]; known && other != name {
		return fmt.Sprintf("; it is written %.40q there", other)
	}
	return ""
}

// nameKey returns the same key for names that look the same: without white space, in one case, and with one form of
// each character (NFKC), so that an accent that follows its letter and full-width letters make no difference. A letter
// may be two in the other case, as in `Straße` and `STRASSE`, or get a dot, as `I` does in Turkish. Letters of
// different scripts that look the same have different keys.
func nameKey(name string) string {
	seen := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || forbidden(r) != "" {
			return -1
		}
		return r
	}, norm.NFKC.String(name))
	folded := norm.NFKC.String(cases.Fold().String(seen))
	return strings.ReplaceAll(folded, "i\u0307", "i")
}

// forbidden returns what a character is if no text may have it, since it is invisible or changes how others are shown;
// "" for all other characters.
func forbidden(r rune) string {
	const brailleBlank = '\u2800'
	switch {
	case r < 0x7f && r >= ' ':
		return ""
	case unicode.Is(unicode.Cc, r):
		return "a control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return "a control of the direction of text"
	case unicode.In(r, unicode.Zl, unicode.Zp):
		return "a separator of lines or paragraphs"
	case unicode.In(r, unicode.Co, unicode.Noncharacter_Code_Point):
		return "a character without a meaning"
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return "" // visible, although of the category Cf
	case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector),
		r == brailleBlank:
		return "an invisible character"
	}
	return ""
}

// textRule returns the rule that a text for people breaks, or "".
func textRule(text string) string {
	switch {
	case text == "":
		return "must not be empty"
	case len(text) > maxTextBytes:
		return fmt.Sprintf("must not exceed %d bytes", maxTextBytes)
	case strings.TrimSpace(text) != text:
		return fmt.Sprintf("must not begin or end with white space: %.40q", text)
	}
	for _, r := range text {
		if what := forbidden(r); what != "" {
			return fmt.Sprintf("must not contain U+%04X, %s; remove it: %.40q", r, what, text)
		}
	}
	return ""
}
