package operator

import (
	"log/slog"
	"net/http"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
)

// rescue streams the sale's state out of memory, for when the journal has failed for good:
//
//	GET /admin/journal/rescue   a journal.StreamReader reads the body
//
// A response that does not end as a stream ends is incomplete, and worthless.
func (c *calls) rescue(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	begun := false
	report, err := e.Rescue(r.Context(), func(last uint64) (journal.Checkpoint, error) {
		begun = true
		w.Header().Set("Content-Type", "application/octet-stream")
		return journal.NewStreamWriter(&deadlineWriter{w: w, control: http.NewResponseController(w)}, last), nil
	})
	if err != nil && !begun {
		return err
	}
	if err == nil {
		c.note(w, r, slog.LevelWarn, "the state of the sale was written out of memory",
			slog.Int("reservations", report.Reservations), slog.Uint64("last", report.Start))
	}
	return c.cut(w, r, err)
}
