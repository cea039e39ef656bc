package lines

import "strings"

// Cell returns a text as a cell of a CSV file that people open. A spreadsheet takes a cell that begins with = + - or @
// for a formula, and runs it. So Cell puts an apostrophe before a text that begins with one of these, with their
// full-width forms, or with a tab, a line break or an apostrophe; spaces and quotes before them do not count. It does
// the same after each semicolon, tab and line break, because a spreadsheet may take those for the ends of cells.
//
// To get the text back, remove the apostrophe that the cell begins with, and each one that follows a semicolon, tab or
// line break. Most texts have none.
func Cell(text string) string {
	var cell strings.Builder
	begins, written := true, 0
	for i, c := range text {
		if begins && isFormula(text[i:]) {
			cell.WriteString(text[written:i])
			cell.WriteByte('\'')
			written = i
		}
		begins = strings.ContainsRune(";\t\r\n", c)
	}
	if cell.Len() == 0 {
		return text
	}
	cell.WriteString(text[written:])
	return cell.String()
}

// isFormula reports whether a spreadsheet may take a cell with this text for a formula. It is also true of an
// apostrophe, so that Cell can be undone.
func isFormula(text string) bool {
	return strings.IndexAny(strings.TrimLeft(text, ` "`), "=+-@＝＋－＠'\t\r\n") == 0
}
