package notify

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net/mail"
	"strings"
)

// Addresses are where accounts get their mail. Four million with 40 bytes each, account and address together, take some
// 250 MB.
type Addresses struct {
	seed  maphash.Seed
	data  []byte   // entries: length of the account, account, length of the address, address
	slots []uint32 // open-addressed by the account's hash: 1 + where its entry begins; 0 is empty
	used  int
}

// What Add refuses.
var (
	ErrAddress   = errors.New("not a mail address")
	ErrAmbiguous = errors.New("the account has another address in an earlier line")
)

// NewAddresses returns an empty book.
func NewAddresses() *Addresses {
	return &Addresses{seed: maphash.MakeSeed(), slots: make([]uint32, 1<<12)}
}

// Len returns how many accounts have an address.
func (a *Addresses) Len() int { return a.used }

// ambiguous stands for the address of an account that has two: nobody is sent another's slot on a guess.
const ambiguous = ""

// Add enters an account's address. The same again is fine; an account with two different addresses is sent nothing.
func (a *Addresses) Add(account, address string) error {
	if len(account) < 1 || len(account) > math.MaxUint8 {
		return fmt.Errorf("%q is no account", account)
	}
	if err := CheckAddress(address); err != nil {
		return err
	}
	place, found := a.find(account)
	if found {
		if known := a.addressAt(a.slots[place]); known != address {
			a.blank(a.slots[place])
			return ErrAmbiguous
		}
		return nil
	}
	if len(a.data)+len(account)+len(address)+2 >= math.MaxUint32 {
		return errors.New("more than 4 GiB of addresses")
	}
	a.slots[place] = uint32(len(a.data)) + 1
	a.data = append(append(a.data, byte(len(account))), account...)
	a.data = append(append(a.data, byte(len(address))), address...)
	if a.used++; 2*a.used > len(a.slots) {
		a.grow()
	}
	return nil
}

// Of returns the account's address. Errors: ErrAmbiguous, or that there is none.
func (a *Addresses) Of(account string) (string, error) {
	place, found := a.find(account)
	if !found {
		return "", errors.New("no address")
	}
	if address := a.addressAt(a.slots[place]); address != ambiguous {
		return address, nil
	}
	return "", errors.New("two different addresses")
}

func (a *Addresses) find(account string) (place int, found bool) {
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

// blank makes the address ambiguous; its bytes stay where they are.
func (a *Addresses) blank(slot uint32) { a.data[int(slot)+int(a.data[slot-1])] = 0 }

func (a *Addresses) grow() {
	old := a.slots
	a.slots = make([]uint32, 2*len(old))
	for _, slot := range old {
		if slot != 0 {
			place, _ := a.find(string(a.accountAt(slot)))
			a.slots[place] = slot
		}
	}
}

// CheckAddress refuses what is not a plain address such as alice@example.org: at most 254 bytes of ASCII, a local part
// without quotes, and a domain of letters, digits, hyphens and dots (punycode for others). Nothing that passes can hold a
// line break, a second address or a display name.
func CheckAddress(address string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %s", ErrAddress, why) }
	if len(address) > 254 {
		return refuse("longer than 254 bytes")
	}
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 || at == len(address)-1 {
		return refuse("not of the form name@domain")
	}
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),:;<>[\]`, c) >= 0 {
			return refuse(fmt.Sprintf("the character %+q is not taken", rune(c)))
		}
	}
	for _, label := range strings.Split(address[at+1:], ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") || strings.Trim(label, letters) != "" {
			return refuse("the domain is not one of letters, digits, hyphens and dots")
		}
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address || parsed.Name != "" {
		return refuse("not of the form name@domain")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
