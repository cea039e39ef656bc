//go:build linux

package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// Order tells a client process what to do.
type Order struct {
	Client
	For    time.Duration
	Say    Talk
	Wants  Wants
	Crowd  int       // accounts
	First  uint64    // number of the first reservation; the next order begins behind Answered.Next
	Script [2]string // SHA1 of the scripts that reserve and confirm
}

// Talk is a dialogue by its name.
type Talk string

// The dialogues.
const (
	TalkReserve Talk = "reserve" // one ticket a request
	TalkPack    Talk = "pack"    // one ticket of each of three pools a request
	TalkRefused Talk = "refused" // one ticket of a pool that is sold out
	TalkBatch   Talk = "batch"   // a thousand reservations of one ticket a request
	TalkPacks   Talk = "packs"   // a thousand operations a request: packs reserved, and those of the request before confirmed
	TalkScript  Talk = "script"  // a Redis script a request: packs reserved and confirmed
)

const batchSize = 1000

// clientVariable makes a program that calls ServeClient a client.
const clientVariable = "SEATHOLD_BENCH_CLIENT"

// reply is what a client process prints.
type reply struct {
	Answered
	Next  uint64
	Fault string
}

// ServeClient does what the process that started this one has ordered, and ends the program; without such an order it
// returns at once. A program that measures calls it first. The client is a process of its own so that neither its
// goroutines nor its garbage are the server's.
func ServeClient() {
	text := os.Getenv(clientVariable)
	if text == "" {
		return
	}
	var o Order
	var r reply
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		runtime.LockOSThread()
		r, err = o.carryOut()
	}
	if err != nil {
		r.Fault = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func (o *Order) carryOut() (r reply, err error) {
	sale := Sale()
	places := Places(sale)
	crowd := NewCrowd(o.Crowd, len(places), o.Wants)
	var next func() uint64
	var talk Dialogue
	switch o.Say {
	case TalkReserve, TalkPack, TalkRefused:
		status, lines := "201", 1
		switch o.Say {
		case TalkPack:
			lines = 3
		case TalkRefused:
			status = "409"
		}
		s := newSingles(crowd, places, o.First, lines, status)
		talk, next = s, func() uint64 { return s.next }
	case TalkBatch, TalkPacks:
		b := newBatches(crowd, places, max(o.First, 1), batchSize, o.Connections, o.Say == TalkPacks)
		talk, next = b, func() uint64 { return b.next }
	case TalkScript:
		var sessions []string
		for _, p := range places {
			sessions = append(sessions, fmt.Sprint(sale.Pools[p.Pool].Session))
		}
		s := newScripts(crowd, sessions, o.First, o.Connections, o.Script)
		talk, next = s, func() uint64 { return s.next }
	default:
		return r, fmt.Errorf("there is no dialogue %q", o.Say)
	}
	r.Answered, err = o.Run(o.For, talk)
	r.Next = next()
	return r, err
}

// Place carries the order out in a process of its own, which is this program once more, and moves First on.
func (o *Order) Place() (Answered, error) {
	program, err := os.Executable()
	if err != nil {
		return Answered{}, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return Answered{}, err
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), clientVariable+"="+string(text), "GOGC=400")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return Answered{}, fmt.Errorf("the client process: %w", err)
	}
	var r reply
	if err := json.Unmarshal(out, &r); err != nil {
		return Answered{}, fmt.Errorf("the client process says %q: %w", out, err)
	}
	if r.Fault != "" {
		return Answered{}, fmt.Errorf("the client process: %s", r.Fault)
	}
	o.First = r.Next
	return r.Answered, nil
}
