package peers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWorkloads: the operations that a client counts are those that the engine has, for every workload over HTTP.
func TestWorkloads(t *testing.T) {
	needsLinux(t)
	s := opened(t, "none")
	address, err := s.Listen()
	require.NoError(t, err)
	tickets := func() (held, sold int) {
		for i := range s.Sale().Pools {
			stock := s.Stock(i)
			held, sold = held+stock.Held, sold+stock.Sold
		}
		return held, sold
	}
	for i, w := range []Workload{WorkloadReserve, WorkloadPack, WorkloadRefused, WorkloadBatch, WorkloadPacks} {
		t.Run(string(w), func(t *testing.T) {
			j := Job{Client: Client{Address: address, Connections: 3, Depth: 2}, For: 20 * time.Millisecond, Workload: w,
				Demand: Spread, Crowd: 1 << 20, First: uint64(i) << 40}
			if w == WorkloadPacks {
				j.Depth = 1 // a batch confirms the packs of the previous one, which must be answered
			}
			heldBefore, soldBefore := tickets()
			r, err := j.Client.run(j.For, mustDialogue(t, &j))
			require.NoError(t, err)
			require.NotZero(t, r.Operations)
			held, sold := tickets()
			held, sold = held-heldBefore, sold-soldBefore
			switch w {
			case WorkloadReserve, WorkloadBatch:
				require.Equal(t, r.Operations, held)
			case WorkloadPack:
				require.Equal(t, 3*r.Operations, held)
			case WorkloadRefused:
				require.Zero(t, held)
			case WorkloadPacks:
				require.Equal(t, 3*r.Operations, held+sold+sold, "each pack sold took a reservation and a confirmation")
			}
		})
	}
}

func mustDialogue(t *testing.T, j *Job) dialogue {
	talk, _, err := j.dialogue()
	require.NoError(t, err)
	return talk
}

// TestAnswersInPieces: a dialogue takes no answer before its last byte, and leaves what follows it.
func TestAnswersInPieces(t *testing.T) {
	answer := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	for name, c := range map[string]struct {
		talk       dialogue
		answer     string
		operations int
	}{
		"single": {&singles{status: "201"}, answer("201", "{}"), 1},
		"batch":  {&batches{}, answer("200", `{"results":[]}`), batchSize},
		"packs":  {&batches{packs: true}, answer("200", `{"results":[{"status":201},{"status":200}]}`), 2},
		"script": {&scripts{}, "$4\r\ndone\r\n", 1},
	} {
		for n := range len(c.answer) {
			length, _, err := c.talk.answer(0, []byte(c.answer[:n]))
			require.NoError(t, err, name)
			require.Zero(t, length, name)
		}
		length, operations, err := c.talk.answer(0, []byte(c.answer+c.answer))
		require.NoError(t, err, name)
		require.Equal(t, len(c.answer), length, name)
		require.Equal(t, c.operations, operations, name)
	}
	for talk, refusal := range map[dialogue]string{
		&singles{status: "201"}: answer("409", "{}"),
		&batches{}:              answer("200", `{"results":[{"status":409,"problem":{}}]}`),
		&scripts{}:              "$8\r\nsold_out\r\n",
	} {
		_, _, err := talk.answer(0, []byte(refusal))
		require.Error(t, err)
	}
}

// TestClientAwaitsEveryAnswer: a client with several requests in flight counts one operation for each, though the
// answers arrive in arbitrary pieces.
func TestClientAwaitsEveryAnswer(t *testing.T) {
	needsLinux(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	requests := make(chan int, 1)
	go func() {
		n := 0
		defer func() { requests <- n }()
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in, text := bufio.NewReader(c), "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
		for pending := ""; ; n++ {
			q, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, q.Body); err != nil {
				return
			}
			pending += text
			cut := len(pending) - n%len(text) // the rest follows with a later answer, unless no request is left
			if in.Buffered() == 0 {
				cut = len(pending)
			}
			if _, err := io.WriteString(c, pending[:cut]); err != nil {
				return
			}
			pending = pending[cut:]
		}
	}()
	pools := Pools(Sale())
	r, err := Client{Address: ln.Addr().String(), Connections: 1, Depth: 7}.run(20*time.Millisecond,
		newSingles(NewCrowd(10, len(pools), Hot), pools, 1, 1, "201"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Operations, 7)
	require.Equal(t, r.Operations, <-requests)
	require.NoError(t, ln.Close())
}

func TestMedianAndQuantile(t *testing.T) {
	require.Zero(t, Median(nil))
	require.Equal(t, 2.0, Median([]float64{9, 1, 2}))
	require.Equal(t, 1.5, Median([]float64{9, 1, 2, 1}))
	require.Zero(t, quantile(nil, 0.5))
	values := make([]int64, 100)
	for i := range values {
		values[i] = int64(100 - i)
	}
	require.Equal(t, time.Duration(51), quantile(values, 0.5))
	require.Equal(t, time.Duration(100), quantile(values, 0.99))
	require.Equal(t, time.Duration(100), quantile(values, 1))
}
