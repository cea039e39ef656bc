package server

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// appendReservation appends a reservation as JSON, without allocation once dst is large enough.
func appendReservation(dst []byte, r *engine.Reservation) []byte {
	dst = append(appendID(append(dst, `{"id":"`...), r.ID), '"')
	dst = appendString(append(dst, `,"account":`...), r.Account)
	dst = appendString(append(dst, `,"phase":`...), r.Phase)
	dst = appendString(append(dst, `,"state":`...), r.State.String())
	dst = append(dst, `,"lines":[`...)
	for i := range r.Lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"session":`...), r.Lines[i].Session)
		dst = appendString(append(dst, `,"category":`...), r.Lines[i].Category)
		dst = appendInt(append(dst, `,"quantity":`...), r.Lines[i].Quantity)
		dst = append(dst, '}')
	}
	dst = appendInt(append(dst, `],"tickets":`...), r.Tickets)
	dst = appendTime(append(dst, `,"created_at":`...), r.CreatedAt)
	dst = appendTime(append(dst, `,"expires_at":`...), r.ExpiresAt)
	if !r.ConfirmedAt.IsZero() {
		dst = appendTime(append(dst, `,"confirmed_at":`...), r.ConfirmedAt)
	}
	if r.Reference != "" {
		dst = appendString(append(dst, `,"reference":`...), r.Reference)
	}
	return append(dst, '}')
}

func appendAccount(dst []byte, a *engine.Account) []byte {
	dst = appendString(append(dst, `{"account":`...), a.Account)
	dst = append(dst, `,"programmes":[`...)
	for i := range a.Programmes {
		p := &a.Programmes[i]
		dst = appendString(append(separate(dst, i), `{"programme":`...), p.Programme)
		dst = appendInt(append(dst, `,"cap":`...), p.Cap)
		dst = appendInt(append(dst, `,"held":`...), p.Held)
		dst = appendInt(append(dst, `,"confirmed":`...), p.Confirmed)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"reservations":[`...)
	for i := range a.Reservations {
		dst = appendReservation(separate(dst, i), &a.Reservations[i])
	}
	dst = append(dst, `],"access":[`...)
	for i := range a.Access {
		dst = appendSlot(separate(dst, i), &a.Access[i])
	}
	return append(dst, `]}`...)
}

func appendSlot(dst []byte, slot *engine.AccessSlot) []byte {
	dst = appendString(append(dst, `{"phase":`...), slot.Phase)
	dst = appendTime(append(dst, `,"opens_at":`...), slot.OpensAt)
	dst = appendTime(append(dst, `,"closes_at":`...), slot.ClosesAt)
	dst = strconv.AppendBool(append(dst, `,"priority":`...), slot.Priority)
	return append(dst, '}')
}

func appendPhases(dst []byte, e *engine.Engine) []byte {
	sale := e.Sale()
	dst = append(dst, `{"phases":[`...)
	for i := range sale.Phases {
		p := &sale.Phases[i]
		dst = appendString(append(separate(dst, i), `{"phase":`...), p.ID)
		dst = appendString(append(dst, `,"programme":`...), sale.Programmes[p.Programme].ID)
		dst = appendString(append(dst, `,"title":`...), p.Title)
		if p.Kind == catalog.Pack {
			dst = appendInt(append(dst, `,"kind":"pack","pack_sessions":`...), p.PackSessions)
		} else {
			dst = append(dst, `,"kind":"single"`...)
		}
		if p.Access == catalog.Slots {
			dst = appendString(append(dst, `,"access":"slots","draw":`...), sale.Draws[p.Draw].ID)
		} else {
			dst = append(dst, `,"access":"open"`...)
		}
		dst = appendTime(append(dst, `,"opens_at":`...), p.OpensAt)
		dst = appendTime(append(dst, `,"closes_at":`...), p.ClosesAt)
		dst = strconv.AppendBool(append(dst, `,"open":`...), e.PhaseOpen(i))
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// separate appends the comma before all but the first element.
func separate(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

// appendString appends a JSON string. Bytes that are not UTF-8, which only a path can bring in, become U+FFFD; that is
// all that AppendQuote's error would say.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if !plain(s[i]) {
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	// Nearly every string is a name of the sale or an account's: nothing in it needs an escape.
	return append(append(append(dst, '"'), s...), '"')
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

func appendID(dst []byte, id engine.ID) []byte {
	const digits = "0123456789abcdef"
	var text [36]byte
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = digits[b>>4], digits[b&15]
		at += 2
	}
	return append(dst, text[:]...)
}

// appendTime appends "2023-11-30T09:00:00.000Z": RFC 3339 in UTC with milliseconds, for the years 0 to 9999. A reservation
// has three, and the time package takes them apart anew for each part. The date is counted from the 1st of March of the year
// 0, so that a leap day is the last day of its year, in eras of 400 years, which all have as many days.
func appendTime(dst []byte, t time.Time) []byte {
	const dayMs, eraDays, epoch = 86_400_000, 146_097, 719_468 // epoch: 1 January 1970, in days since 1 March 0
	ms := t.UnixMilli() + epoch*dayMs + eraDays*dayMs          // an era more keeps January and February of the year 0 positive
	day, inDay := ms/dayMs, int(ms%dayMs)
	era, inEra := int(day/eraDays)-1, int(day%eraDays)
	yearOfEra := (inEra - inEra/1460 + inEra/36_524 - inEra/146_096) / 365
	inYear := inEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	fifth := (5*inYear + 2) / 153 // months since March
	year, month := 400*era+yearOfEra, fifth+3
	if month > 12 {
		year, month = year+1, month-12
	}
	dst = append(dst, `"0000-00-00T00:00:00.000Z"`...)
	to := dst[len(dst)-len(`"0000-00-00T00:00:00.000Z"`):]
	putDigits(to[1:5], year)
	putDigits(to[6:8], month)
	putDigits(to[9:11], inYear-(153*fifth+2)/5+1)
	putDigits(to[12:14], inDay/3_600_000)
	putDigits(to[15:17], inDay/60_000%60)
	putDigits(to[18:20], inDay/1000%60)
	putDigits(to[21:24], inDay%1000)
	return dst
}

// putDigits fills to with the digits of n.
func putDigits(to []byte, n int) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
}
