package client

import (
	"context"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// Operator makes calls on the operator's port: about draws, about the sale's definition and its pauses, about the
// members of groups, and the rescue of a journal. Those about draws and groups take as long as millions of accounts
// take, so bound them by the context.
type Operator struct{ c *caller }

// NewOperator returns a client of the operator's port at o.URL. It makes no connection yet. It fails only if o.URL is
// not a URL of a server.
func NewOperator(o Options) (*Operator, error) {
	c, err := newCaller(o, 0)
	return &Operator{c}, err
}

// Close closes the idle connections.
func (o *Operator) Close() { o.c.http.CloseIdleConnections() }

// Freeze ends the registration for a draw whose time is over and publishes the digest of its entries. Freezing again
// changes nothing. Refused with registration_open, and with draw_void once the round is due.
func (o *Operator) Freeze(ctx context.Context, draw string) (d Draw, err error) {
	_, err = o.c.call(ctx, http.MethodPost, operatorPath(draw, "freeze"), nil, &d)
	return d, err
}

// Withdraw takes an account's entry for a draw back. Refused with entry_not_found if it has none, or no longer: an
// earlier attempt, whose answer was lost, may have withdrawn it. Refused with registration_closed once the entries are
// frozen.
func (o *Operator) Withdraw(ctx context.Context, draw, account string) error {
	var done Entry
	_, err := o.c.call(ctx, http.MethodDelete, operatorPath(draw, "entries/"+escaped(account)), nil, &done)
	return err
}

// Postpone names a later round to decide a draw, before the present one is due. Naming it again changes nothing.
// Refused with round_refused, already_drawn, and with draw_void once the present round is due.
func (o *Operator) Postpone(ctx context.Context, draw string, round uint64) (d Draw, err error) {
	_, err = o.c.call(ctx, http.MethodPost, operatorPath(draw, "round"), roundRequest{Round: round}, &d)
	return d, err
}

type roundRequest struct {
	Round uint64 `json:"round"`
}

// Run decides a draw by a beacon in the JSON of a drand relay. The entries must be frozen. It is not retried: after a
// broken connection, read the draw. Refused with registration_open, draw_not_frozen, draw_void, round_not_due,
// already_drawn and beacon_refused.
func (o *Operator) Run(ctx context.Context, draw string, beacon []byte) (d Draw, err error) {
	_, err = o.c.once(ctx, http.MethodPost, operatorPath(draw, "run"), jsontext.Value(beacon), &d)
	return d, err
}

// Export returns the files of a draw that was run, as a tar archive. The caller closes it. Refused with draw_not_run
// and export_under_way.
func (o *Operator) Export(ctx context.Context, draw string) (io.ReadCloser, error) {
	return o.download(ctx, operatorPath(draw, "export"))
}

// Winners returns the accounts of the winners of a draw that was run, as CSV: rank, account and the salt with which
// its handle in the export opens. The caller closes it. Refused with draw_not_run and export_under_way.
func (o *Operator) Winners(ctx context.Context, draw string) (io.ReadCloser, error) {
	return o.download(ctx, operatorPath(draw, "winners"))
}

// Rescue returns the state of a sale whose journal has failed for good, as a journal.StreamReader reads it. The caller
// closes it. Refused with journal_works.
func (o *Operator) Rescue(ctx context.Context) (io.ReadCloser, error) {
	return o.download(ctx, "/admin/journal/rescue")
}

// download returns the body of an answer, which the caller closes.
func (o *Operator) download(ctx context.Context, path string) (io.ReadCloser, error) {
	response, err := o.c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func operatorPath(draw, action string) string {
	return "/admin/draws/" + escaped(draw) + "/" + action
}
