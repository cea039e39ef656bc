package protocol

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// model is a protocol as a set of processes that share a state S. One step is one atomic access to shared memory, with
// the accesses to private memory before it. S has no pointers and no padding, so that its bytes identify it.
type model[S any] interface {
	// processes returns how many there are. They are numbered from 0.
	processes() int
	// step makes the next step of a process; false if it has to wait or has ended. Then s may have any content.
	step(s *S, process int) bool
	// check looks at a state that was just reached, end at one in which no process can make a step. Like step, they
	// panic with a broken if an invariant does not hold.
	check(s *S)
	end(s *S)
	// label describes the next step of a process for a trace.
	label(s *S, process int) string
}

// broken is a violated invariant, or an access that the protocol rules out.
type broken string

func breakIf(condition bool, format string, args ...any) {
	if condition {
		panic(broken(fmt.Sprintf(format, args...)))
	}
}

// tooSmall is a bound of the model that a case exceeds. It is no violation, so it catches no fault.
type tooSmall string

func boundIf(condition bool, format string, args ...any) {
	if condition {
		panic(tooSmall(fmt.Sprintf(format, args...)))
	}
}

// found is what an exploration finds.
type found struct {
	broken   string   // the first violation; "" if none was reached
	trace    []string // the steps that lead to it
	states   int
	tooSmall bool // what is broken is a bound of the model
}

// mostStates ends the exploration of a case that is too large.
const mostStates = 12_000_000

// explore visits every state that the processes can reach from begin in any interleaving, depth first. States are
// remembered by a 64-bit hash: among 10 million states the probability that two have the same is 3 in a million.
func explore[S any](m model[S], begin S) (f found) {
	type visit struct {
		state S
		next  int // process to try next
		moved bool
	}
	flat(reflect.TypeOf(begin))
	path := make([]visit, 1, 1024)
	path[0].state = begin
	var seen hashes
	seen.add(hashOf(&begin))
	defer func() {
		f.states = seen.count
		if failure := recover(); failure != nil {
			switch failure := failure.(type) {
			case broken:
				f.broken = string(failure)
			case tooSmall:
				f.broken, f.tooSmall = string(failure), true
			default:
				panic(failure)
			}
			for i := range path[:len(path)-1] {
				f.trace = append(f.trace, m.label(&path[i].state, path[i].next-1))
			}
			if last := &path[len(path)-1]; last.next > 0 { // the state itself is wrong, or its last step
				f.trace = append(f.trace, "(no process can step)")
			}
		}
	}()
	processes := m.processes()
	for len(path) > 0 {
		at := len(path) - 1
		process := path[at].next
		if process == processes {
			if !path[at].moved {
				m.end(&path[at].state)
			}
			path = path[:at]
			continue
		}
		path[at].next++
		path = append(path, visit{state: path[at].state})
		after := &path[at+1].state
		if !m.step(after, process) {
			path = path[:at+1]
			continue
		}
		path[at].moved = true
		if !seen.add(hashOf(after)) {
			path = path[:at+1]
			continue
		}
		boundIf(seen.count > mostStates, "the case has more than %d states", mostStates)
		m.check(after)
	}
	return f
}

// flat panics if a type has pointers or padding.
func flat(t reflect.Type) {
	switch t.Kind() {
	case reflect.Struct:
		size := uintptr(0)
		for i := range t.NumField() {
			size += t.Field(i).Type.Size()
			flat(t.Field(i).Type)
		}
		if size != t.Size() {
			panic(fmt.Sprintf("%v has %d bytes of padding", t, t.Size()-size))
		}
	case reflect.Array:
		flat(t.Elem())
	default:
		if t.Kind() < reflect.Bool || t.Kind() > reflect.Uint64 {
			panic(t.String() + " is no number")
		}
	}
}

func hashOf[S any](s *S) uint64 {
	return xxhash.Sum64(unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s)))
}

// hashes is a set of hashes: an open-addressed table that is at most three quarters full. 0 counts as 1.
type hashes struct {
	slots []uint64
	count int
}

// add reports whether the hash was not in the set.
func (s *hashes) add(hash uint64) bool {
	if 4*s.count >= 3*len(s.slots) {
		s.grow()
	}
	hash = max(hash, 1)
	i := hash & uint64(len(s.slots)-1)
	for s.slots[i] != 0 {
		if s.slots[i] == hash {
			return false
		}
		i = (i + 1) & uint64(len(s.slots)-1)
	}
	s.slots[i] = hash
	s.count++
	return true
}

func (s *hashes) grow() {
	old := s.slots
	s.slots = make([]uint64, max(1024, 2*len(old)))
	s.count = 0
	for _, hash := range old {
		if hash != 0 {
			s.add(hash)
		}
	}
}

// holds fails the test if the exploration found a violation.
func (f found) holds(t *testing.T) {
	t.Helper()
	if f.broken != "" {
		t.Fatalf("%s after %d states:\n%s", f.broken, f.states, strings.Join(f.trace, "\n"))
	}
}

// caught fails the test if the exploration of a protocol without one of its rules found no violation.
func (f found) caught(t *testing.T) {
	t.Helper()
	if f.broken == "" || f.tooSmall {
		t.Fatalf("not caught in %d states %s", f.states, f.broken)
	}
}
