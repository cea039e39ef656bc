package order

// Note is an outcome that has no row of its own elsewhere.
type Note struct {
	Subject uint32
	What    uint16
	AtMs    int64 // ms since 1970, below 2^48: until the year 10889
}

// NoteRow is the memory of a Note, 16 bytes. All but Below is written before the note is pushed.
type NoteRow struct {
	whatAt  uint64 // AtMs in the upper 48 bits, What in the others
	subject uint32
	Below   Link // the note's link, see Stack
}

// Row returns the row of the note.
func (n Note) Row() NoteRow {
	return NoteRow{whatAt: uint64(n.AtMs)<<16 | uint64(n.What), subject: n.Subject}
}

// Note returns the note in the row.
func (r *NoteRow) Note() Note {
	return Note{Subject: r.subject, What: uint16(r.whatAt), AtMs: int64(r.whatAt >> 16)}
}
