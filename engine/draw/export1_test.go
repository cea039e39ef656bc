package draw

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

// Format 1 is verified as it was.
func TestVerifyNamesWhatIsWrongInFormat1(t *testing.T) {
	for _, c := range []fault{
		{"a file missing", func(f fstest.MapFS) { delete(f, "result.csv") }, "result.csv is missing"},
		{"the sums missing", func(f fstest.MapFS) { delete(f, "SHA256SUMS") }, "SHA256SUMS is missing"},
		{"nothing", func(f fstest.MapFS) { clear(f) }, "README.md is missing"},
		{"an additional file", func(f fstest.MapFS) { f["notes.txt"] = &fstest.MapFile{} },
			"notes.txt is not a file of an export; remove it"},
		{"an additional last file", func(f fstest.MapFS) { f["z"] = &fstest.MapFile{} },
			"z is not a file of an export; remove it"},
		{"a directory", func(f fstest.MapFS) { f["draw.json/x"] = f["draw.json"]; delete(f, "draw.json") },
			"draw.json is not a regular file"},
		{"damage", func(f fstest.MapFS) { f["entries.csv"].Data[20]++ }, "SHA256SUMS, line 3, must be"},
		{"an additional entry", replace("entries.csv", "\nb,club\n", "\nb,club\nb0,\n"), "entries.csv has the root"},
		{"a duplicate entry", replace("entries.csv", "\nb,club\n", "\nb,club\nb,club\n"), `account entered twice: "b"`},
		{"an invalid byte", replace("entries.csv", "\nb,", "\nb\xff,"), "entries.csv, line 6: "},
		{"no group", replace("entries.csv", "\nb,club\n", "\nb\n"), "entries.csv, line 6: "},
		{"three fields", replace("entries.csv", "\nb,club\n", "\nb,club,club\n"), "entries.csv, line 6: "},
		{"no header", replace("entries.csv", "account,group\n", ""), "entries.csv, line 1, must be"},
		{"empty entries", func(f fstest.MapFS) { f["entries.csv"].Data = nil },
			"entries.csv, line 1, does not end in a line feed"},
		{"a truncated line", replace("entries.csv", ",\n", ","), "draw: export refused: entries.csv, line"},
		{"a line that is too long", replace("entries.csv", "\nb,", "\n"+strings.Repeat("b", 5000)+","),
			"entries.csv, line 6, does not end in a line feed"},
		{"another order", replace("entries.csv", "A-1,club\na-1,\n", "a-1,\nA-1,club\n"),
			"entries.csv differs from the recomputed draw from line 2 on"},
		{"a better rank", replace("result.csv", "\n1,", "\n2,"),
			"result.csv differs from the recomputed draw from line 2 on"},
		{"a truncated result", func(f fstest.MapFS) { f["result.csv"].Data = f["result.csv"].Data[:700] },
			"result.csv ends early, in line"},
		{"a longer result", func(f fstest.MapFS) { f["result.csv"].Data = append(f["result.csv"].Data, '\n') },
			"result.csv continues after line"},
		{"another seed", replace("draw.json", `"seed": "`, `"seed": "0`),
			"draw.json differs from the recomputed draw from line 16 on"},
		{"unknown member", replace("draw.json", `"draw"`, `"extra": 1, "draw"`),
			"draw.json differs from the recomputed draw from line 3 on"},
		{"duplicate member", replace("draw.json", `"draw"`, `"draw": "x", "draw"`), "duplicate"},
		{"another round", replace("draw.json", `"round": 1000`, `"round": 1001`), ErrSignature.Error()},
		{"another randomness", replace("draw.json", `"randomness": "fe`, `"randomness": "ff`), ErrRandomness.Error()},
		{"no places", replace("draw.json", `"slot_places": 2`, `"slot_places": 0`), errNoPlaces.Error()},
		{"no stand-in", replace("draw.json", `"stand_in": true`, `"stand_in": false`),
			"README.md differs from the recomputed draw"},
		{"root too short", replace("draw.json", `"root": "`, `"root": "0`), "the root must be"},
		{"huge", func(f fstest.MapFS) { f["draw.json"].Data = bytes.Repeat([]byte(" "), 1<<15) }, "draw.json exceeds"},
	} {
		c.check(t, export(t, smallAccountsDraw(t)))
	}
}
