package lines

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCellIsNoFormula(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"alice,club":       "alice,club",
		"a=b-c+d@e":        "a=b-c+d@e",
		"=cmd|' /C x'!A0":  "'=cmd|' /C x'!A0",
		"+1":               "'+1",
		"-1":               "'-1",
		"@SUM(A1)":         "'@SUM(A1)",
		"\t=1":             "'\t'=1",
		"\r=1":             "'\r'=1",
		" =1":              "' =1",
		`"=1"`:             `'"=1"`,
		"＝1":               "'＝1",
		"'quoted":          "''quoted",
		"x;=1+1;y":         "x;'=1+1;y",
		`x;"=HYPERLINK()"`: `x;'"=HYPERLINK()"`,
		"x\n-1":            "x\n'-1",
	} {
		require.Equal(t, want, Cell(text), "%q", text)
	}
}

// The rule of Cell's documentation gives every text back, and no part of a cell is a formula.
func TestCellIsUndone(t *testing.T) {
	added := regexp.MustCompile("(^|[;\t\r\n])'")
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"=", "+", "-", "@", "＝", "'", ";", "\t", "\r", "\n",
			" ", `"`, "a", "é"})).Draw(t, "parts"), "")
		cell := Cell(text)
		require.Equal(t, text, added.ReplaceAllString(cell, "$1"))
		for _, part := range regexp.MustCompile("[;\t\r\n]").Split(cell, -1) {
			require.NotRegexp(t, `^[ "]*[=+@＝-]`, part)
		}
	})
}
