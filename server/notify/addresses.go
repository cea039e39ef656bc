package notify

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"net/mail"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/seathold/seathold/server/internal/lines"
)

// Addresses has the mail address of each account. Four million accounts with 40 bytes of account and address take 215
// MB, less than half of a map of strings.
type Addresses struct {
	seed  maphash.Seed
	data  []byte   // entries: length of the account, account, length of the address, address
	slots []uint32 // open-addressed by the account's hash: 1 + the offset of its entry; 0 is empty
	used  int
}

var (
	errAddress   = errors.New("not a mail address")
	errAmbiguous = errors.New("the account has another address in an earlier line")
)

func newAddresses() *Addresses {
	return &Addresses{seed: maphash.MakeSeed(), slots: make([]uint32, 1<<12)}
}

// maxComplaints bounds how many faulty lines are printed one by one.
const maxComplaints = 20

// ReadAddresses reads a CSV file with the header account,email. It skips faulty lines and prints them to complaints.
// Their accounts have no address and are listed again when a mail is due to them. It skips repetitions of the header
// too, which a file has that was concatenated of others.
func ReadAddresses(path string, complaints io.Writer) (a *Addresses, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := lines.NewReader(file)
	header, err := in.Header()
	if err != nil {
		return nil, err
	}
	if header != "account,email" {
		return nil, fmt.Errorf("%s: the first line must be account,email, not %q", path, lines.Clip([]byte(header)))
	}
	a, bad := newAddresses(), 0
	for {
		line, long, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if in.RepeatsHeader(line) {
			continue
		}
		if err := a.addLine(line, long); err != nil {
			if bad++; bad <= maxComplaints {
				_, _ = fmt.Fprintf(complaints, "%s, line %d: %v\n", path, in.Number, err)
			}
		}
	}
	if bad > maxComplaints {
		_, _ = fmt.Fprintf(complaints, "%s: %s more lines are faulty\n", path, humanize.Comma(int64(bad-maxComplaints)))
	}
	return a, nil
}

func (a *Addresses) addLine(line []byte, long bool) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if long {
		return fmt.Errorf("longer than %d bytes", lines.Max)
	}
	fields := lines.Fields(line)
	if len(fields) != 2 {
		return fmt.Errorf("%d fields instead of 2", len(fields))
	}
	return a.add(string(fields[0]), string(fields[1]))
}

// ambiguous replaces the address of an account that has two: neither is used on a guess.
const ambiguous = ""

// add enters an account's address. Adding the same address again changes nothing. An account with two different
// addresses has none. Addresses that differ only in the case of the domain are the same, as in DNS; the first spelling
// is kept. Before the @, case counts: the domain's mail server decides there (RFC 5321, section 2.4).
func (a *Addresses) add(account, address string) error {
	if len(account) < 1 || len(account) > math.MaxUint8 {
		return fmt.Errorf("%q is not an account", account)
	}
	if err := checkAddress(address); err != nil {
		return err
	}
	at, found := a.find(account)
	if found {
		if known := a.addressAt(a.slots[at]); !sameAddress(known, address) {
			a.blank(a.slots[at])
			return errAmbiguous
		}
		return nil
	}
	if len(a.data)+len(account)+len(address)+2 >= math.MaxUint32 {
		return errors.New("more than 4 GiB of addresses")
	}
	a.slots[at] = uint32(len(a.data)) + 1
	a.data = append(append(a.data, byte(len(account))), account...)
	a.data = append(append(a.data, byte(len(address))), address...)
	if a.used++; 2*a.used > len(a.slots) {
		a.grow()
	}
	return nil
}

// of returns the account's address, or why it has none.
func (a *Addresses) of(account string) (string, error) {
	at, found := a.find(account)
	if !found {
		return "", errors.New("no address")
	}
	if address := a.addressAt(a.slots[at]); address != ambiguous {
		return address, nil
	}
	return "", errors.New("two different addresses")
}

// find returns the index of the account's slot, or of the empty slot where it belongs.
func (a *Addresses) find(account string) (at int, found bool) {
	mask := uint64(len(a.slots) - 1)
	for i := maphash.String(a.seed, account) & mask; ; i = (i + 1) & mask {
		if a.slots[i] == 0 {
			return int(i), false
		}
		if string(a.accountAt(a.slots[i])) == account {
			return int(i), true
		}
	}
}

func (a *Addresses) accountAt(slot uint32) []byte {
	from := int(slot)
	return a.data[from : from+int(a.data[from-1])]
}

func (a *Addresses) addressAt(slot uint32) string {
	from := int(slot) + int(a.data[slot-1]) + 1
	return string(a.data[from : from+int(a.data[from-1])])
}

// blank makes the address ambiguous. Its bytes stay in place.
func (a *Addresses) blank(slot uint32) { a.data[int(slot)+int(a.data[slot-1])] = 0 }

func (a *Addresses) grow() {
	old := a.slots
	a.slots = make([]uint32, 2*len(old))
	for _, slot := range old {
		if slot != 0 {
			at, _ := a.find(string(a.accountAt(slot)))
			a.slots[at] = slot
		}
	}
}

// sameAddress compares two addresses; the domain in any case. Domains are ASCII, so international ones, in punycode,
// compare in the same way.
func sameAddress(a, b string) bool {
	at := strings.LastIndexByte(a, '@') + 1
	return len(a) == len(b) && a[:at] == b[:at] && strings.EqualFold(a[at:], b[at:])
}

// checkAddress accepts only plain addresses such as alice@example.org: at most 254 bytes of ASCII, a local part without
// quotes, and a domain of letters, digits, hyphens and dots (punycode for others). What it accepts contains no line
// break, no second address and no display name.
func checkAddress(address string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %s", errAddress, why) }
	if len(address) > 254 {
		return refuse("longer than 254 bytes")
	}
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 || at == len(address)-1 {
		return refuse("not of the form name@domain")
	}
	for _, c := range address {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),:;<>[\]`, c) {
			return refuse(fmt.Sprintf("the character %+q is not allowed", c))
		}
	}
	for _, label := range strings.Split(address[at+1:], ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" || strings.Trim(label, "-") != label {
			return refuse("the domain is not one of letters, digits, hyphens and dots")
		}
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address || parsed.Name != "" {
		return refuse("not of the form name@domain")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
