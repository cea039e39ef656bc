package lines

import (
	"bytes"
	"fmt"
	"io"

	"github.com/seathold/seathold/engine/rules"
)

// AccountHeader is the header of a file of accounts.
const AccountHeader = "account"

// NotAccount is a line of a list of accounts that has something else.
type NotAccount struct {
	Line int64 // its number, from 1
	Text string
}

func (e *NotAccount) Error() string {
	return fmt.Sprintf("line %d is not an account: \"%s\"", e.Line, e.Text)
}

// NewAccounts returns a reader of a list of accounts, one a line, whose header may be missing. So a list cannot have an
// account that is called account.
func NewAccounts(from io.Reader) *Reader {
	r := NewReader(from)
	r.header = AccountHeader
	return r
}

// NextAccount returns the next account, valid until the next call. Blank lines and repetitions of the header are
// skipped. The error is a *NotAccount if the line has something else, after which the reader continues, and io.EOF at
// the end.
func (r *Reader) NextAccount() (account []byte, err error) {
	for {
		line, long, err := r.Next()
		if err != nil {
			return nil, err
		}
		if r.Number == 1 {
			line = bytes.TrimPrefix(line, []byte(mark))
		}
		if len(line) == 0 || r.RepeatsHeader(line) {
			continue
		}
		fields := Fields(line)
		if long || len(fields) != 1 || !rules.ValidAccount(string(fields[0])) {
			return nil, &NotAccount{r.Number, Clip(line)}
		}
		return fields[0], nil
	}
}
