package engine

import "unsafe"

// texts has room for the texts of answers. The texts of a snapshot are gone after the call, so an answer has copies. A
// text never changes, so a caller may keep it; the room of one allocation is for many texts of later answers.
type texts struct {
	of   *Reservation // whose they are: a copy of it must not write into the same room
	room []byte
}

const textRoom = 2048 // bytes: of 32 or more texts

// keep returns a copy of a text for an answer in r. A caller that makes several calls about a reservation has the text
// already.
func (t *texts) keep(r *Reservation, had, text string) string {
	switch {
	case had == text:
		return had
	case text == "":
		return ""
	case t.of == nil: // many are filled only once
		t.room = make([]byte, 0, len(text))
	case t.of != r || cap(t.room)-len(t.room) < len(text):
		t.room = make([]byte, 0, textRoom)
	}
	t.of = r
	t.room = append(t.room, text...)
	return unsafe.String(&t.room[len(t.room)-len(text)], len(text))
}
