package operator

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/internal/encode"
)

// MaxBeacon is the most bytes that the body of a call may have: a beacon, or a round.
const MaxBeacon = 4096

// WinnersHeader is the first line of the winners' accounts.
const WinnersHeader = "rank,account,salt\n"

// draws are an operator's calls for draws:
//
//	GET  /admin/draws/{draw}          as on the API
//	DELETE /admin/draws/{draw}/entries/{account}   take an entry back, until the entries are frozen
//	POST /admin/draws/{draw}/freeze   after the close of registration, publish the digest of the entries; the server
//	                                  does so itself within a second of the close
//	POST /admin/draws/{draw}/round    name a later round, before the present one is due; the body is {"round": N}
//	POST /admin/draws/{draw}/run      decide the draw; the body is the beacon as a drand relay returns it
//	GET  /admin/draws/{draw}/export   the files of the export, as a tar stream
//	GET  /admin/draws/{draw}/winners  the accounts of the winners, as CSV: rank, account, salt
//
// All GET and POST calls but the last two respond with the draw as the API shows it. Freezing a frozen draw succeeds
// and changes nothing, and so does naming the round of the last postponement. A refused call changes nothing either;
// refusals are problem+json. The DELETE responds with the account. An account that has no entry, or no longer, is
// refused as entry_not_found, and every account once the entries are frozen as registration_closed.
type draws struct {
	calls
	exporting sync.Mutex
}

// register adds the calls below /admin/draws/.
func (d *draws) register(paths *http.ServeMux) {
	paths.Handle("GET /admin/draws/{draw}", d.call(d.read))
	paths.Handle("DELETE /admin/draws/{draw}/entries/{account}", d.call(d.withdraw))
	paths.Handle("POST /admin/draws/{draw}/freeze", d.call(d.freeze))
	paths.Handle("POST /admin/draws/{draw}/round", d.call(d.postpone))
	paths.Handle("POST /admin/draws/{draw}/run", d.call(d.run))
	paths.Handle("GET /admin/draws/{draw}/winners", d.call(d.alone(d.winners)))
	paths.Handle("GET /admin/draws/{draw}/export", d.call(d.alone(d.export)))
}

// alone refuses a call while another one that needs as much memory is under way.
func (d *draws) alone(answer func(http.ResponseWriter, *http.Request, *engine.Engine) error) func(
	http.ResponseWriter, *http.Request, *engine.Engine) error {
	return func(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
		if !d.exporting.TryLock() {
			return &refusal{&exportUnderWay, "a draw is being exported; retry when that export has ended"}
		}
		defer d.exporting.Unlock()
		return answer(w, r, e)
	}
}

func (d *draws) read(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	status, err := e.Draw(r.PathValue("draw"))
	return d.answer(w, r, e, status, err)
}

func (d *draws) withdraw(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id, account := r.PathValue("draw"), r.PathValue("account")
	if err := e.WithdrawEntry(context.WithoutCancel(r.Context()), id, account); err != nil {
		return err
	}
	d.note(w, r, slog.LevelInfo, "an entry was withdrawn", slog.String("draw", id))
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(append(encode.Entered(nil, &engine.Entry{Draw: id, Account: account}), '\n'))
	return d.cut(w, r, err)
}

func (d *draws) freeze(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	// The end of the operator's connection does not cancel what is being journalled.
	status, err := e.FreezeDraw(context.WithoutCancel(r.Context()), r.PathValue("draw"))
	return d.answer(w, r, e, status, err)
}

func (d *draws) postpone(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	data, err := body(w, r)
	if err != nil {
		return err
	}
	var named struct {
		Round *uint64 `json:"round"`
	}
	if err := json.Unmarshal(data, &named, json.RejectUnknownMembers(true)); err != nil || named.Round == nil {
		return malformed(`it must be {"round": N}`)
	}
	status, err := e.PostponeDraw(context.WithoutCancel(r.Context()), r.PathValue("draw"), *named.Round)
	return d.answer(w, r, e, status, err)
}

func malformed(detail string) error {
	return &engine.Refusal{Code: engine.MalformedRequest, Where: "body: " + detail}
}

// body reads the body of a request.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBeacon))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return nil, &refusal{&encode.PayloadTooLarge, fmt.Sprintf("the body has at most %d bytes", MaxBeacon)}
	}
	if err != nil {
		return nil, malformed("it did not arrive whole")
	}
	return data, nil
}

func (d *draws) run(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	data, err := body(w, r)
	if err != nil {
		return err
	}
	beacon, err := draw.ParseBeacon(data)
	if err != nil {
		return malformed(err.Error())
	}
	status, err := e.RunDraw(context.WithoutCancel(r.Context()), r.PathValue("draw"), beacon)
	return d.answer(w, r, e, status, err)
}

// answer responds with the state of a draw.
func (d *draws) answer(w http.ResponseWriter, r *http.Request, e *engine.Engine, status engine.DrawStatus,
	err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(encode.Draw(nil, e, &status), '\n'))
	return d.cut(w, r, err)
}

// export exports the draw twice: first for the sizes, which precede the files in a tar archive. The same draw always
// gives the same bytes, so nothing is kept in between. There is one export at a time, since each uses twice the memory
// of all entries.
func (d *draws) export(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id, sizes := r.PathValue("draw"), map[string]*size{}
	if err := e.ExportDraw(id, func(name string) (io.WriteCloser, error) {
		sizes[name] = new(size)
		return sizes[name], r.Context().Err()
	}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.tar"`, id))
	archive := tar.NewWriter(&deadlineWriter{w: w, control: http.NewResponseController(w)})
	err := e.ExportDraw(id, func(name string) (io.WriteCloser, error) {
		return unclosed{archive}, archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(*sizes[name]), Format: tar.FormatPAX,
		})
	})
	return d.cut(w, r, errors.Join(err, archive.Close()))
}

// winners lists the winners' accounts with the salts of their handles. It uses as much memory as an export.
func (d *draws) winners(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id := r.PathValue("draw")
	if status, err := e.Draw(id); err != nil {
		return err
	} else if status.State != engine.DrawDrawn {
		return &engine.Refusal{Code: engine.DrawNotRun}
	}
	d.note(w, r, slog.LevelInfo, "the winners of a draw are listed with their accounts", slog.String("draw", id))
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	out := bufio.NewWriterSize(&deadlineWriter{w: w, control: http.NewResponseController(w)}, 1<<16)
	_, err := out.WriteString(WinnersHeader)
	err = errors.Join(err, e.DrawWinners(id, func(won engine.DrawWinner) error {
		_, err := fmt.Fprintf(out, "%d,%s,%s\n", won.Rank, won.Account, won.Salt)
		return err
	}), out.Flush())
	return d.cut(w, r, err)
}

// size counts the bytes written to it.
type size int64

func (s *size) Write(data []byte) (int, error) {
	*s += size(len(data))
	return len(data), nil
}

func (s *size) Close() error { return nil }

// unclosed is one file of the archive; closing it leaves the archive open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
