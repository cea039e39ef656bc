package spec

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

//go:embed testdata
var testdata embed.FS

// The duration of a hold in the scenarios, and the most after extensions. They are the defaults of the engine.
const (
	ScenarioTTL     = 17 * time.Minute
	ScenarioMaxHold = time.Hour
)

// System executes operations: the Model, the engine, a server.
type System interface {
	Do(Operation) Answer
	// Restart stops the system and starts it again from its durable state.
	Restart() error
}

// Scenario demonstrates one rule by operations and their expected answers. It is read from text:
//
//	# a comment
//	scenario a pack takes all or nothing
//	at 2024-02-10T09:00:00Z
//	reserve r1 ann SWIM/A:2 JUDO/A:1 phase=packs ttl=60 -> held tickets=3
//	reserve r2 ann SWIM/A:1 JUDO/A:1 phase=packs replaces=r1 -> held
//	extend r2 2024-02-10T09:05:00Z -> held expires=2024-02-10T09:05:00Z
//	confirm r2 again reference=X1 -> confirmed
//	release r2 -> reservation_confirmed
//	reduce r2 SWIM/A:1 -> pack_shape
//	return r2 -> returned
//	read r1 -> confirmed
//	account ann -> account summer=0+3/12 ; confirmed
//	stock SWIM/A -> available=3 held=0 sold=2
//	places presale/SWIM -> available=2 places=5
//	sweep -> ended=1
//	restart
//	pause session SWIM -> done
//	resume phase packs -> done
//	set SWIM/A withheld=2 -> available=1 withheld=2
//	join club ann -> done
//	leave club ann -> done
//	define phases.late.closes_at = 2024-05-20 10:00
//	define prices.csv SWIM,A =
//	apply -> applied
//
// After the arrow follow the state or the code, and then any of the facts in any order. Each define step edits the
// files of the sale, see edited.define; apply puts them into force.
type Scenario struct {
	file, title string
	steps       []step
}

type step struct {
	line    int
	text    string
	restart bool
	op      Operation
	pool    Line   // for stock
	places  Places // for places: which
	want    []string
}

// ScenarioSale returns the sale of the scenarios.
func ScenarioSale() (*catalog.Sale, error) {
	files, err := fs.Sub(testdata, "testdata/sale")
	if err != nil {
		return nil, err
	}
	return catalog.LoadFS(files)
}

// Scenarios reads all scenarios.
func Scenarios() ([]Scenario, error) {
	names, err := fs.Glob(testdata, "testdata/*.txt")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, name := range names {
		text, err := fs.ReadFile(testdata, name)
		if err != nil {
			return nil, err
		}
		read, err := parseScenarios(name, text)
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	return all, nil
}

func parseScenarios(file string, text []byte) ([]Scenario, error) {
	var all []Scenario
	var at time.Time
	original, err := scenarioFiles()
	if err != nil {
		return nil, err
	}
	files := original
	for i, line := range strings.Split(string(text), "\n") {
		n, text := i+1, strings.TrimSpace(line)
		word, rest, _ := strings.Cut(text, " ")
		var err error
		switch {
		case text == "" || word == "#":
		case word == "scenario":
			all = append(all, Scenario{file: file, title: rest})
			files = original
		case len(all) == 0:
			err = errors.New("a step before the first scenario")
		case word == "at":
			at, err = time.Parse(time.RFC3339Nano, rest)
		case word == "define":
			files, err = files.define(rest)
		default:
			s := step{line: n, text: text}
			if word == "apply" {
				s.op.Sale, err = files.sale()
			}
			if err == nil {
				err = s.parse(word, rest, at)
			}
			if err == nil {
				of := &all[len(all)-1]
				of.steps = append(of.steps, s)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %q: %w", file, n, text, err)
		}
	}
	return all, nil
}

func (s *step) parse(word, rest string, at time.Time) error {
	operation, want, arrow := strings.Cut(rest, "->")
	fields := strings.Fields(operation)
	s.want = strings.Fields(want)
	s.op.At = Instant(at)
	if word == "restart" {
		s.restart = true
		return nil
	}
	if !arrow || len(s.want) == 0 {
		return errors.New("-> and the expected answer are missing")
	}
	if word == "resume" || word == "pause" {
		s.op.Paused, word = word == "pause", "pause"
		if len(fields) > 0 && fields[0] == "sale" {
			fields[0] = "" // neither a phase nor a session
		}
	}
	kind := slices.Index(kindNames, word)
	if kind < 0 {
		return errors.New("unknown operation")
	}
	s.op.Kind = Kind(kind)
	names := map[Kind]int{Reserve: 2, Confirm: 1, Release: 1, Extend: 2, Reduce: 1, Return: 1, ReadReservation: 1,
		ReadAccount: 1, ReadStock: 1, ReadPlaces: 1, SetStock: 1, Join: 2, Leave: 2}[s.op.Kind]
	if s.op.Kind == Pause {
		return s.pause(fields)
	}
	if len(fields) < names {
		return errors.New("too few words")
	}
	switch s.op.Kind {
	case Reserve:
		s.op.ID, s.op.Account = IDOf(fields[0]), fields[1]
	case Confirm, Release, Reduce, Return, ReadReservation:
		s.op.ID = IDOf(fields[0])
	case Extend:
		s.op.ID = IDOf(fields[0])
		var err error
		if s.op.ExpiresAt, err = time.Parse(time.RFC3339Nano, fields[1]); err != nil {
			return err
		}
	case ReadAccount:
		s.op.Account = fields[0]
	case ReadStock:
		s.pool.Session, s.pool.Category, _ = strings.Cut(fields[0], "/")
	case ReadPlaces:
		s.places.Phase, s.places.Session, _ = strings.Cut(fields[0], "/")
	case Join, Leave:
		s.op.Group, s.op.Account = fields[0], fields[1]
	case SetStock:
		s.op.Session, s.op.Category, _ = strings.Cut(fields[0], "/")
	}
	for _, f := range fields[names:] {
		if err := s.detail(f); err != nil {
			return err
		}
	}
	return nil
}

// pause parses what is paused: "sale", "phase ID" or "session ID".
func (s *step) pause(fields []string) error {
	switch {
	case len(fields) == 1 && fields[0] == "":
	case len(fields) == 2 && fields[0] == "phase":
		s.op.Phase = fields[1]
	case len(fields) == 2 && fields[0] == "session":
		s.op.Session = fields[1]
	default:
		return errors.New(`neither "sale" nor "phase ID" nor "session ID"`)
	}
	return nil
}

func (s *step) detail(field string) error {
	if field == "again" {
		s.op.Again = true
		return nil
	}
	if name, value, ok := strings.Cut(field, "="); ok {
		switch name {
		case "phase":
			s.op.Phase = value
		case "reference":
			s.op.Reference = value
		case "replaces":
			s.op.Replaces = IDOf(value)
		case "capacity", "withheld":
			n, err := strconv.Atoi(value)
			if name == "capacity" {
				s.op.Capacity = &n
			} else {
				s.op.Withheld = &n
			}
			return err
		case "ttl":
			d, err := time.ParseDuration(value)
			s.op.TTL = d
			return err
		default:
			return fmt.Errorf("unknown detail %s", name)
		}
		return nil
	}
	names, quantity, ok := strings.Cut(field, ":")
	session, category, split := strings.Cut(names, "/")
	n, err := strconv.Atoi(quantity)
	if !ok || !split || err != nil {
		return fmt.Errorf("%q is not session/category:quantity", field)
	}
	s.op.Lines = append(s.op.Lines, Line{Session: session, Category: category, Quantity: n})
	return nil
}

// Play plays the scenario on a new system. The error names the first step with another answer than expected.
func (s *Scenario) Play(sale *catalog.Sale, on System) error {
	for i := range s.steps {
		step := &s.steps[i]
		if step.restart {
			if err := on.Restart(); err != nil {
				return fmt.Errorf("%s:%d: restart: %w", s.file, step.line, err)
			}
			continue
		}
		answer := on.Do(step.op)
		if step.op.Kind == Apply && answer.OK() {
			sale = continued(sale, step.op.Sale)
		}
		got := answerText(sale, step, answer)
		words := strings.Fields(got)
		for i, want := range step.want {
			if i == 0 && (len(words) == 0 || words[0] != want) || !slices.Contains(words, want) {
				return fmt.Errorf("%s:%d: %s: no %q in the answer %q", s.file, step.line, step.text, want, got)
			}
		}
	}
	return nil
}

// answerText formats an answer; of the stock, only the step's pool.
func answerText(sale *catalog.Sale, s *step, a Answer) string {
	switch {
	case s.op.Kind == Sweep:
		return fmt.Sprintf("ended=%d", a.Ended)
	case s.op.Kind == SetStock && a.OK():
		return stockText(a.Stock[0])
	case (s.op.Kind == Join || s.op.Kind == Leave) && a.OK() && a.Repeated:
		return "unchanged"
	case (s.op.Kind == Pause || s.op.Kind == Join || s.op.Kind == Leave) && a.OK():
		return "done"
	case s.op.Kind == ReadPlaces:
		return placesText(s.places, a.Places)
	case s.op.Kind == Apply && a.OK() && a.Repeated:
		return "unchanged"
	case s.op.Kind == Apply && a.OK():
		return "applied"
	case s.op.Kind != ReadStock:
		return a.String()
	}
	session, _ := sale.SessionByID(s.pool.Session)
	pool := slices.IndexFunc(sale.Pools, func(p catalog.Pool) bool { // also one that was removed
		return p.Session == session && p.Category == s.pool.Category
	})
	if pool < 0 || pool >= len(a.Stock) {
		return "unknown pool"
	}
	return stockText(a.Stock[pool])
}

// placesText formats the places of one phase and session.
func placesText(of Places, all []Places) string {
	for _, p := range all {
		if p.Phase == of.Phase && p.Session == of.Session {
			return fmt.Sprintf("available=%d places=%d", p.Available, p.Places)
		}
	}
	return "unbounded"
}

func stockText(p Stock) string {
	return fmt.Sprintf("available=%d held=%d sold=%d withheld=%d capacity=%d", p.Available, p.Held, p.Sold, p.Withheld,
		p.Capacity)
}
