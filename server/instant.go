package server

import "time"

// instantForm is how a time in RFC 3339 begins. A fraction of a second may follow, and the offset must.
const instantForm = "0000-00-00T00:00:00"

// parseInstant reads a time in RFC 3339, in capital letters and with any offset. Digits beyond the millisecond are
// dropped. It accepts no leap second. time.Parse accepts more (an hour of one digit, a comma for the point, an offset
// of 24 hours) and allocates a Location for some offsets.
func parseInstant(text string) (at time.Time, ok bool) {
	if len(text) <= len(instantForm) || !hasForm(text[:len(instantForm)], instantForm) {
		return at, false
	}
	year, month, day := number2(text)*100+number2(text[2:]), number2(text[5:]), number2(text[8:])
	hour, minute, second := number2(text[11:]), number2(text[14:]), number2(text[17:])
	millis, zone, ok := parseFraction(text[len(instantForm):])
	offset, known := parseOffset(zone)
	if !ok || !known || hour > 23 || minute > 59 || second > 59 {
		return at, false
	}
	at = time.Date(year, time.Month(month), day, hour, minute, second, millis*int(time.Millisecond), time.UTC)
	if at.Month() != time.Month(month) || at.Day() != day { // Date carries a day that the month does not have
		return at, false
	}
	return at.Add(-offset), true
}

// hasForm reports whether a text has digits where the form has zeros, and is equal to it elsewhere. They are as long.
func hasForm(text, form string) bool {
	for i := range len(form) {
		if c := text[i]; form[i] == '0' && (c < '0' || c > '9') || form[i] != '0' && c != form[i] {
			return false
		}
	}
	return true
}

// number2 returns the number of the first two digits.
func number2(digits string) int { return int(digits[0]-'0')*10 + int(digits[1]-'0') }

// parseFraction reads the fraction of a second, if there is one.
func parseFraction(text string) (millis int, rest string, ok bool) {
	if text[0] != '.' {
		return 0, text, true
	}
	n := 1
	for unit := 100; n < len(text) && text[n] >= '0' && text[n] <= '9'; n, unit = n+1, unit/10 {
		millis += unit * int(text[n]-'0')
	}
	return millis, text[n:], n > 1
}

// parseOffset reads an offset from UTC.
func parseOffset(text string) (offset time.Duration, ok bool) {
	if text == "Z" {
		return 0, true
	}
	const form = "00:00"
	if len(text) != 1+len(form) || !hasForm(text[1:], form) {
		return 0, false
	}
	hours, minutes := number2(text[1:]), number2(text[4:])
	offset = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	switch {
	case hours > 23 || minutes > 59:
		return 0, false
	case text[0] == '-':
		return -offset, true
	}
	return offset, text[0] == '+'
}
