package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
)

// TestScenarios plays the files of testdata/scenarios, each on a new server, and then once more on another one, where
// every call that changes a reservation is the only operation of a batch. The lines of a file are executed in order:
//
//	clock 2024-01-10T09:00:00Z          the sale clock; "clock +17m" moves it
//	pause session ATH01                 what the operator does: pause, resume, of a session, a phase, or sale;
//	stock ATH01 A 20 2                  the capacity of a category, and how many of it are withheld;
//	join friends alice bob              and who is a member of a group: join, leave
//	POST /v1/reservations {…}           a request; <1> is a UUID that ends in 1
//	= 409 sold_out available=1          its response: the status; for a problem the code and exactly its facts;
//	                                    otherwise any members, such as lines.0.quantity, or pools.#=2 for a length
//
// The value "-" means that there is no such member.
func TestScenarios(t *testing.T) {
	files := must(filepath.Glob("testdata/scenarios/*.txt"))(t)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, batched := range []bool{false, true} {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			if batched {
				name += " in batches"
			}
			t.Run(name, func(t *testing.T) {
				noLeaks(t)
				s := &scenario{fixture: start(t, nil), file: file, batched: batched}
				for n, line := range strings.Split(string(must(os.ReadFile(file))(t)), "\n") {
					s.line = n + 1
					s.play(strings.TrimSpace(shortID.ReplaceAllStringFunc(line, longID)))
				}
				require.Nil(t, s.answer, "%s ends with a request whose response is not checked", file)
			})
		}
	}
}

var shortID = regexp.MustCompile(`<[0-9]+>`)

func longID(short string) string {
	return "00000000-0000-4000-8000-" + fmt.Sprintf("%012s", strings.Trim(short, "<>"))
}

type scenario struct {
	*fixture
	file    string
	line    int
	batched bool
	answer  *answer // to the last request, until it is checked
}

func (s *scenario) play(line string) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "", "#":
	case "clock":
		s.moveClock(rest)
	case "pause", "resume":
		kind, id, _ := strings.Cut(rest, " ")
		what := map[string]engine.Pausable{"sale": {}, "phase": {Phase: id}, "session": {Session: id}}
		require.Contains(s.t, what, kind, s.position())
		require.NoError(s.t, s.engine.Pause(s.t.Context(), what[kind], word == "pause"), s.position())
	case "stock":
		words := strings.Fields(rest)
		require.Len(s.t, words, 4, s.position())
		capacity, withheld := must(strconv.Atoi(words[2]))(s.t), must(strconv.Atoi(words[3]))(s.t)
		_, err := s.engine.SetStock(s.t.Context(), words[0], words[1], &capacity, &withheld)
		require.NoError(s.t, err, s.position())
	case "join", "leave":
		group, accounts, _ := strings.Cut(rest, " ")
		s.members(word == "join", group, strings.Fields(accounts))
	case "=":
		require.NotNil(s.t, s.answer, s.position())
		s.expect(rest)
		s.answer = nil
	default:
		require.Nil(s.t, s.answer, "%s: the previous response was not checked", s.position())
		path, body, _ := strings.Cut(rest, " ")
		body = strings.TrimSpace(body)
		if operation, ok := operationOf(word, path, body); ok && s.batched {
			s.answer = s.onlyResult(s.call(word, "/v1/batch", `{"operations":[`+operation+`]}`))
			return
		}
		s.answer = s.call(word, path, body)
	}
}

func (s *scenario) members(join bool, group string, accounts []string) {
	require.NotEmpty(s.t, accounts, s.position())
	if join {
		_, err := s.engine.Join(s.t.Context(), group, accounts)
		require.NoError(s.t, err, s.position())
		return
	}
	for _, account := range accounts {
		left, err := s.engine.Leave(s.t.Context(), group, account)
		require.NoError(s.t, err, s.position())
		require.True(s.t, left, s.position())
	}
}

var changePath = regexp.MustCompile(`^/v1/reservations(?:/([0-9a-f-]{36})/([a-z]+))?$`)

// operationOf returns the operation of a batch that is the same as a call. There is none for other calls, nor for a
// body that is no object.
func operationOf(method, path, body string) (operation string, ok bool) {
	parts := changePath.FindStringSubmatch(path)
	if body == "" && (strings.HasSuffix(path, "/confirm") || strings.HasSuffix(path, "/release") ||
		strings.HasSuffix(path, "/return")) {
		body = "{}"
	}
	if parts == nil || method != http.MethodPost || !strings.HasPrefix(body, "{") || !json.Valid([]byte(body)) {
		return "", false
	}
	members := `{"op":"reserve"`
	if parts[1] != "" {
		members = `{"id":"` + parts[1] + `","op":"` + parts[2] + `"`
	}
	if rest := strings.TrimSpace(body[1:]); rest != "}" {
		members += ","
	}
	return members + body[1:], true
}

// onlyResult returns the answer that a single call would have had, from that of a batch of one operation.
func (s *scenario) onlyResult(a *answer) *answer {
	if where, found := a.json["where"].(string); found { // the batch was refused as a whole
		a.json["where"] = strings.TrimPrefix(strings.TrimPrefix(where, "operations[0]"), ".")
		if a.json["where"] == "" {
			a.json["where"] = "body"
		}
		return a
	}
	require.Equal(s.t, 200, a.status, s.position())
	result := a.json["results"].([]any)[0].(map[string]any)
	single := &answer{status: must(strconv.Atoi(result["status"].(json.Number).String()))(s.t), body: a.body}
	single.json, _ = result["reservation"].(map[string]any)
	if single.status >= 400 {
		single.json = result["problem"].(map[string]any)
	}
	return single
}

func (s *scenario) position() string { return s.file + ":" + strconv.Itoa(s.line) }

func (s *scenario) moveClock(to string) {
	if step, relative := strings.CutPrefix(to, "+"); relative {
		s.clock.advance(must(time.ParseDuration(step))(s.t))
		return
	}
	at := instantOf(s.t, to)
	s.clock.now.Store(&at) // it may go back: no scenario enters a draw
}

func (s *scenario) expect(line string) {
	words := strings.Fields(line)
	a := s.answer
	require.Equal(s.t, words[0], strconv.Itoa(a.status), "%s: %s", s.position(), a.body)
	words = words[1:]
	facts := map[string]bool{"type": true, "title": true, "status": true, "detail": true, "code": true}
	if a.status >= 400 {
		require.Equal(s.t, words[0], a.code(), "%s: %s", s.position(), a.body)
		words = words[1:]
	}
	for _, word := range words {
		name, want, ok := strings.Cut(word, "=")
		require.True(s.t, ok, "%s: %q is not name=value", s.position(), word)
		facts[name] = true
		require.Equal(s.t, want, member(a.json, name), "%s: %s of %s", s.position(), name, a.body)
	}
	if a.status < 400 {
		return
	}
	for name := range a.json {
		require.True(s.t, facts[name], "%s: the fact %s is not expected: %s", s.position(), name, a.body)
	}
}

// member returns a member by its path, as text; "-" if there is none.
func member(value any, path string) string {
	for _, step := range strings.Split(path, ".") {
		switch within := value.(type) {
		case map[string]any:
			value = within[step]
		case []any:
			if step == "#" {
				return strconv.Itoa(len(within))
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(within) {
				return "-"
			}
			value = within[i]
		}
	}
	switch value := value.(type) {
	case nil:
		return "-"
	case string:
		return strings.ReplaceAll(value, " ", "_")
	case json.Number:
		return value.String()
	}
	return fmt.Sprint(value)
}
