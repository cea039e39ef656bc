package notify

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

// Winner is an account that drew a slot. A letter's template can use its fields: {{.Account}}, {{.Rank}}, {{.Draw}},
// {{.Phase}}, {{.Priority}}, {{.Opens}} and {{.Closes}}. The two instants are in the zone of the letter and take any
// layout, as in {{.Opens.Format "02/01/2006 15:04"}}.
type Winner struct {
	Account  string
	Rank     uint32
	Draw     string // title of the draw
	Phase    string // title of the phase
	Priority bool   // the slot is reserved for the priority group
	Opens    time.Time
	Closes   time.Time // the first instant at which the slot has ended
}

// Letter is the template of the mail to each winner.
type Letter struct {
	subject *template.Template
	body    *template.Template
}

// Limits of a letter.
const (
	maxTemplate = 1 << 18 // bytes
	maxSubject  = 200     // bytes, rendered
	maxBody     = 1 << 18 // bytes, rendered
)

// ErrLetter is wrapped by errors about a template or a rendered letter.
var ErrLetter = errors.New("letter")

// ParseLetter parses a template: a first line "Subject: …", an empty line, and the text. Subject and text are in the
// language of text/template. ParseLetter renders them once for a made-up winner, to find faults before anything is
// sent.
func ParseLetter(text []byte) (*Letter, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("%w: the template has more than %d bytes", ErrLetter, maxTemplate)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: the template is not UTF-8", ErrLetter)
	}
	plain := strings.ReplaceAll(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))), "\r\n", "\n")
	first, rest, _ := strings.Cut(plain, "\n")
	subject, ok := strings.CutPrefix(first, "Subject: ")
	empty, body, found := strings.Cut(rest, "\n")
	if !ok || !found || empty != "" {
		return nil, fmt.Errorf("%w: the template must begin with a line \"Subject: …\" and an empty line", ErrLetter)
	}
	l := &Letter{}
	var err error
	if l.subject, err = template.New("subject").Parse(subject); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLetter, err)
	}
	if l.body, err = template.New("text").Parse(body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLetter, err)
	}
	_, _, err = l.render(&Winner{Account: "account", Rank: 1, Draw: "draw", Phase: "phase", Opens: time.Unix(0, 0),
		Closes: time.Unix(1, 0)})
	return l, err
}

// render writes the letter to a winner. It refuses a subject of more than one line, so no value can add another header.
func (l *Letter) render(w *Winner) (subject, body string, err error) {
	if subject, err = execute(l.subject, w, maxSubject); err != nil {
		return "", "", err
	}
	if body, err = execute(l.body, w, maxBody); err != nil {
		return "", "", err
	}
	if strings.ContainsFunc(subject, unicode.IsControl) || strings.TrimSpace(subject) == "" {
		return "", "", fmt.Errorf("%w: the subject for account %s is %q, not one line of text", ErrLetter, w.Account, subject)
	}
	return subject, body, nil
}

func execute(t *template.Template, w *Winner, most int) (string, error) {
	out := &bounded{most: most}
	if err := t.Execute(out, w); err != nil {
		return "", fmt.Errorf("%w: %w", ErrLetter, err)
	}
	return out.text.String(), nil
}

// bounded is a buffer with a limit.
type bounded struct {
	text bytes.Buffer
	most int
}

func (b *bounded) Write(data []byte) (int, error) {
	if b.text.Len()+len(data) > b.most {
		return 0, fmt.Errorf("longer than %d bytes", b.most)
	}
	return b.text.Write(data)
}
