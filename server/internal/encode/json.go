package encode

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/engine"
)

// Plain reports whether a string may contain the byte without an escape: ASCII other than controls, quote and
// backslash.
func Plain(c byte) bool { return c >= ' ' && c < 0x80 && c != '"' && c != '\\' }

// Comma appends the comma before element i of an array; there is none before element 0.
func Comma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

// String appends a JSON string. Bytes that are not UTF-8, which only a path can contain, become U+FFFD.
func String(dst []byte, s string) []byte {
	for i := range len(s) {
		if !Plain(s[i]) {
			dst, _ = jsontext.AppendQuote(dst, s) // an error only reports bytes that are not UTF-8
			return dst
		}
	}
	// Almost every string is a name from the sale or an account, and needs no escape.
	return append(append(append(dst, '"'), s...), '"')
}

// Int appends a number.
func Int(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// ID appends a UUID in lower case, without quotes.
func ID(dst []byte, id engine.ID) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}

// Time appends "2023-11-30T09:00:00.000Z": RFC 3339 in UTC with milliseconds, for the years 0 to 9999.
//
// A reservation has up to three times, and time.Time computes the date anew for each component. Here the date is
// counted from 1 March of the year 0, so that a leap day is the last day of its year, in eras of 400 years, which all
// have the same number of days.
func Time(dst []byte, t time.Time) []byte {
	const dayMs, eraDays, epoch = 86_400_000, 146_097, 719_468 // epoch: 1 January 1970, in days since 1 March 0
	ms := t.UnixMilli() + epoch*dayMs + eraDays*dayMs          // with one more era, the first two months are positive
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

// putDigits fills to with the digits of n, zero-padded.
func putDigits(to []byte, n int) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
}
