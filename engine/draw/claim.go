package draw

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// claim is what an export states and Verify does not compute.
type claim struct {
	terms  Terms
	timing Timing
	root   Digest
	beacon Beacon
}

// statedTerms are the members of terms.json, or in format 1 of draw.json, that Verify does not compute.
type statedTerms struct {
	Draw          string    `json:"draw"`
	ClosesAt      time.Time `json:"registration_closes_at"`
	PublishWithin uint32    `json:"publish_within_seconds"`
	Commitment    string    `json:"secret_commitment"`
	ChainHash     string    `json:"chain_hash"`
	PublicKey     string    `json:"public_key"`
	Genesis       time.Time `json:"genesis"`
	Period        uint32    `json:"period_seconds"`
	Round         uint64    `json:"round"`
	StandIn       bool      `json:"stand_in"`
	Phase         string    `json:"phase"`
	PhaseOpensAt  time.Time `json:"phase_opens_at"`
	PhaseClosesAt time.Time `json:"phase_closes_at"`
	Length        uint32    `json:"slot_length_seconds"`
	Step          uint32    `json:"slot_step_seconds"`
	Places        uint32    `json:"slot_places"`
	PriorityDays  uint16    `json:"priority_days"`
	Group         string    `json:"priority_group"`
}

// statedDraw are the members of draw.json that Verify does not compute.
type statedDraw struct {
	Root          string    `json:"root"`
	FrozenAt      time.Time `json:"frozen_at"`
	FrozenMachine time.Time `json:"frozen_at_machine"`
	Postponed     []struct {
		Round   uint64    `json:"round"`
		At      time.Time `json:"at"`
		Machine time.Time `json:"at_machine"`
	} `json:"postponed"`
	Round      uint64 `json:"round"`
	Randomness string `json:"randomness"`
	Signature  string `json:"signature"`
}

// readClaim reads the terms, the timing, the root and the beacon. The other members, and the syntax, are checked when
// the whole files are compared.
func readClaim(export fs.FS, sealed bool) (claimed claim, err error) {
	data, err := readSmall(export, drawFile)
	if err != nil {
		return claim{}, err
	}
	if err := claimed.parseDraw(data); err != nil {
		return claim{}, fmt.Errorf("%w: %s: %w", ErrRefused, drawFile, err)
	}
	name := drawFile
	if sealed {
		name = termsFile
		if data, err = readSmall(export, name); err != nil {
			return claim{}, err
		}
	}
	if err := claimed.parseTerms(data, sealed); err != nil {
		return claim{}, fmt.Errorf("%w: %s: %w", ErrRefused, name, err)
	}
	return claimed, nil
}

func (c *claim) parseDraw(data []byte) error {
	var text statedDraw
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	c.beacon.Round = text.Round
	c.timing.Frozen = Moment{Sale: text.FrozenAt, Machine: text.FrozenMachine}
	for _, p := range text.Postponed {
		c.timing.Postponed = append(c.timing.Postponed,
			Postponement{Round: p.Round, At: Moment{Sale: p.At, Machine: p.Machine}})
	}
	return cmp.Or(
		parseHex("root", c.root[:], text.Root),
		parseHex("randomness", c.beacon.Randomness[:], text.Randomness),
		parseHex("signature", c.beacon.Signature[:], text.Signature))
}

func (c *claim) parseTerms(data []byte, sealed bool) error {
	var text statedTerms
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	c.terms = Terms{
		Draw: text.Draw, ClosesAt: text.ClosesAt, Round: text.Round, StandIn: text.StandIn, Phase: text.Phase,
		Chain: Chain{
			Hash: text.ChainHash, PublicKey: text.PublicKey, Genesis: text.Genesis,
			Period: time.Duration(text.Period) * time.Second,
		},
		Slots: SlotRule{
			OpensAt: text.PhaseOpensAt, ClosesAt: text.PhaseClosesAt, Places: int(text.Places), Group: text.Group,
			Length: time.Duration(text.Length) * time.Second, Step: time.Duration(text.Step) * time.Second,
			PriorityDays: int(text.PriorityDays),
		},
		PublishWithin: time.Duration(text.PublishWithin) * time.Second,
	}
	if !sealed {
		return nil
	}
	return parseHex("commitment", c.terms.Commitment[:], text.Commitment)
}

// readEntries freezes the entries of entries.csv. The priority group is one of the groups even if it has no member.
func readEntries(export fs.FS, priority string, sealed bool) (entries *Entries, err error) {
	err = readFile(export, entriesFile, func(file io.Reader) (err error) {
		entries, err = parseEntries(file, priority, sealed)
		return err
	})
	return entries, err
}

// parseEntries reads the lines of entries.csv in any order. The order is checked when the whole file is compared.
func parseEntries(file io.Reader, priority string, sealed bool) (*Entries, error) {
	listed := new(Entries)
	if !sealed {
		listed.ends = []uint32{}
	}
	if _, err := listed.memberOf([]byte(priority)); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRefused, drawFile, err)
	}
	lines := bufio.NewReader(file) // its buffer of 4,096 bytes is longer than any valid line
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0 && number > 1:
			entries, err := listed.freeze()
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrRefused, entriesFile, err)
			}
			return entries, nil
		case err == io.EOF || err == bufio.ErrBufferFull:
			return nil, fmt.Errorf("%w: %s, line %d, does not end in a line feed", ErrRefused, entriesFile, number)
		case err != nil:
			return nil, err
		case number > 1:
			if err := listed.addLine(line[:len(line)-1]); err != nil {
				return nil, fmt.Errorf("%w: %s, line %d: %w", ErrRefused, entriesFile, number, err)
			}
		case string(line) != listed.header():
			return nil, fmt.Errorf("%w: %s, line 1, must be %q", ErrRefused, entriesFile, listed.header())
		}
	}
}

// freeze sorts the entries of a file and builds their tree.
func (e *Entries) freeze() (*Entries, error) {
	if !e.sealed() {
		return e.freezeAccounts()
	}
	sorted, twin := e.freezeHandles()
	if twin >= 0 {
		return nil, fmt.Errorf("%w: %x", errDuplicateAccount, e.name(int(sorted.order[twin])))
	}
	return sorted, nil
}

func (e *Entries) addLine(line []byte) error {
	name, group, found := bytes.Cut(line, []byte(","))
	switch {
	case e.Len() == MaxEntries:
		return errTooManyEntries
	case !found:
		return fmt.Errorf("%w: %q", errAccount, line)
	case e.sealed():
		return e.addHandle(name, group)
	case !IsName(name):
		return fmt.Errorf("%w: %q", errAccount, line)
	}
	member, err := e.memberOf(group)
	if err != nil {
		return err
	}
	e.add(name, member)
	return nil
}

// addHandle adds an entry of format 2. The group is followed by the weight.
func (e *Entries) addHandle(digits, group []byte) error {
	group, weighed := bytes.CutSuffix(group, []byte(",1"))
	if !weighed {
		return fmt.Errorf("%w: %q does not end in the weight 1", errWeight, group)
	}
	member, err := e.memberOf(group)
	if err != nil {
		return err
	}
	var handle Digest
	if n, err := hex.Decode(handle[:], digits[:min(len(digits), 2*len(handle))]); err != nil || n != len(handle) ||
		len(digits) != 2*len(handle) {
		return fmt.Errorf("%w: a handle has %d hexadecimal digits, not %q", errAccount, 2*len(handle), digits)
	}
	e.names, e.group = append(e.names, handle[:]...), append(e.group, member)
	return nil
}

// memberOf returns the number of a group and adds a new group.
func (e *Entries) memberOf(name []byte) (uint8, error) {
	if len(name) == 0 {
		return 0, nil
	}
	if i := slices.Index(e.groups, string(name)); i >= 0 {
		return uint8(i) + 1, nil
	}
	if !IsName(name) || len(e.groups) == MaxGroups {
		return 0, fmt.Errorf("%w: %q", errGroup, name)
	}
	e.groups = append(e.groups, string(name))
	return uint8(len(e.groups)), nil
}
