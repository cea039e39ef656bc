package registration

import (
	"fmt"
	"io"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/rules"
	"github.com/seathold/seathold/server/internal/lines"
)

// roll reads the accounts to enter. Blank lines are skipped.
type roll struct {
	*lines.Reader
	columns int
}

// rollLine is a line that is not blank.
type rollLine struct {
	number  int64
	offset  int64 // of the byte after the line
	sum     uint64
	account string
	group   string
	header  bool   // the header once more: no account
	fault   string // why the line is refused; text is then its beginning
	text    string
}

// openRoll reads the header.
func openRoll(file io.Reader) (*roll, error) {
	r := &roll{Reader: lines.NewReader(file)}
	header, err := r.Header()
	switch {
	case err != nil:
		return nil, err
	case header == lines.AccountHeader:
		r.columns = 1
	case header == "account,priority_group":
		r.columns = 2
	default:
		return nil, fmt.Errorf("the first line must be account or account,priority_group, not %q", lines.Clip([]byte(header)))
	}
	return r, nil
}

// read returns the next line that is not blank. At the end the error is io.EOF.
func (r *roll) read() (rollLine, error) {
	for {
		line, long, err := r.Next()
		if err != nil {
			return rollLine{}, err
		}
		if len(line) == 0 {
			continue
		}
		l := rollLine{number: r.Number, offset: r.Offset, sum: r.Sum}
		if r.RepeatsHeader(line) {
			l.header = true
			return l, nil
		}
		if long {
			l.fault = fmt.Sprintf("longer than %d bytes", lines.Max)
		} else {
			l.account, l.group, l.fault = r.parse(line)
		}
		if l.fault != "" {
			l.account, l.group, l.text = "", "", lines.Clip(line)
		}
		return l, nil
	}
}

func (r *roll) parse(line []byte) (account, group, fault string) {
	fields := lines.Fields(line)
	if len(fields) != r.columns {
		return "", "", fmt.Sprintf("%d fields instead of %d", len(fields), r.columns)
	}
	account = string(fields[0])
	if !rules.ValidAccount(account) {
		return "", "", "not an " + rules.AccountRule
	}
	if r.columns == 2 && len(fields[1]) > 0 {
		if group = string(fields[1]); !draw.IsName(fields[1]) {
			return "", "", "not a priority group"
		}
	}
	return account, group, ""
}
