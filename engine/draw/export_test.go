package draw

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// smallDraw is a draw of eleven entries with two slots reserved for the Club, three others, and too few places for all.
func smallDraw(t require.TestingT) *Result {
	entries := []entry{
		{"zoe@example.org", ""}, {"A-1", "club"}, {"a-1", ""}, {"a-10", "club"}, {"a-2", "family"}, {"m:77", "club"},
		{"m:78", ""}, {"n_1", "club"}, {"b", "club"}, {"c.c", ""}, {"d", ""},
	}
	data, err := os.ReadFile("testdata/quicknet_1000.json")
	require.NoError(t, err)
	beacon, err := ParseBeacon(data)
	require.NoError(t, err)
	result, err := Run(freezeAs(t, entries, []string{"family", "club"}), smallTerms(), beacon)
	require.NoError(t, err)
	return result
}

func smallTerms() Terms {
	terms := paris()
	terms.Slots.ClosesAt = terms.Slots.OpensAt.Add(10*24*time.Hour + 12*time.Hour)
	terms.Slots.Step, terms.Slots.Places = 50*time.Hour, 2 // opening at hour 0, 50, 100, 150 and 200
	return terms
}

// export returns the files of an export as a file system.
func export(t require.TestingT, result *Result) fstest.MapFS {
	files := fstest.MapFS{}
	require.NoError(t, result.Export(func(name string) (io.WriteCloser, error) {
		files[name] = &fstest.MapFile{}
		return &memoryFile{file: files[name]}, nil
	}))
	return files
}

type memoryFile struct {
	file *fstest.MapFile
	err  error
}

func (m *memoryFile) Write(data []byte) (int, error) {
	m.file.Data = append(m.file.Data, data...)
	return len(data), m.err
}

func (m *memoryFile) Close() error { return m.err }

func TestExportVerifies(t *testing.T) {
	result := smallDraw(t)
	files := export(t, result)
	require.Equal(t, files, export(t, smallDraw(t)), "the same draw gives the same bytes")
	summary, err := Verify(files)
	require.NoError(t, err)
	require.Equal(t, Summary{
		Terms: smallTerms(), Entries: 11, Root: result.Root, Randomness: result.Beacon.Randomness, Seed: result.Seed,
		Slots: 5, Winners: 10, Priority: 4,
	}, summary)
	require.Contains(t, string(files["README.md"].Data), "stand-in", "the export states it")
	require.True(t, summary.Terms.StandIn, "the summary states it")

	terms := smallTerms()
	terms.StandIn = false // round 1000 is of August 2023
	honest, err := Run(result.entries, terms, result.Beacon)
	require.NoError(t, err)
	files = export(t, honest)
	summary, err = Verify(files)
	require.NoError(t, err)
	require.False(t, summary.Terms.StandIn)
	require.NotContains(t, string(files["README.md"].Data), "stand-in")
}

// The bytes of format 1. A change here is a new format: earlier exports must still verify.
func TestExportFormat(t *testing.T) {
	files := export(t, smallDraw(t))
	for _, name := range []string{"README.md", "draw.json", "entries.csv", "result.csv", "SHA256SUMS"} {
		golden, err := os.ReadFile("testdata/export/" + name)
		require.NoError(t, err)
		require.Equal(t, string(golden), string(files[name].Data), name)
	}
	_, err := Verify(os.DirFS("testdata/export"))
	require.NoError(t, err)
}

// Changing, adding or removing any byte of any file is detected.
func TestEveryByteCounts(t *testing.T) {
	files := export(t, smallDraw(t))
	tried := 0
	for name, file := range files {
		good := file.Data
		for at := range good {
			for _, flip := range []byte{0x01, 0x20, 0x80} { // another character, the other case, not ASCII
				file.Data = slices.Clone(good)
				file.Data[at] ^= flip
				_, err := Verify(files)
				require.ErrorIs(t, err, ErrRefused, "%s, byte %d, flip %#x", name, at, flip)
				tried++
			}
			file.Data = slices.Delete(slices.Clone(good), at, at+1)
			_, err := Verify(files)
			require.ErrorIs(t, err, ErrRefused, "%s without byte %d", name, at)
			file.Data = slices.Insert(slices.Clone(good), at, ' ')
			_, err = Verify(files)
			require.ErrorIs(t, err, ErrRefused, "%s with a space before byte %d", name, at)
		}
		for _, more := range []string{"\n", " ", "\x00"} {
			file.Data = append(slices.Clone(good), more...)
			_, err := Verify(files)
			require.ErrorIs(t, err, ErrRefused, "%s and %q", name, more)
		}
		file.Data = bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n"))
		_, err := Verify(files)
		require.ErrorIs(t, err, ErrRefused, "%s with other line endings", name)
		file.Data = good
	}
	t.Logf("%d single-byte changes refused", tried)
	_, err := Verify(files)
	require.NoError(t, err)
}

// A forger who changes a byte and rewrites SHA256SUMS passes the digests but not the recomputation. The exceptions are
// values from which nothing is computed: the sale definition fixes them, and Verify reports them in its summary.
func TestRewrittenSumsDoNotHelp(t *testing.T) {
	files := export(t, smallDraw(t))
	accepted := map[string]int{}
	for _, name := range []string{"README.md", "draw.json", "entries.csv", "result.csv"} {
		good := files[name].Data
		step := 1
		if name == "README.md" || name == "result.csv" { // computed as a whole: every byte is checked in the same way
			step = 7
		}
		for at := 0; at < len(good); at += step {
			files[name].Data = slices.Clone(good)
			files[name].Data[at] ^= 0x01
			writeSums(files)
			summary, err := Verify(files)
			if err != nil {
				require.ErrorIs(t, err, ErrRefused, "%s, byte %d", name, at)
				continue
			}
			require.Equal(t, "draw.json", name, "byte %d", at)
			require.NotEqual(t, smallTerms(), summary.Terms, "byte %d is not reported", at)
			line, _, _ := strings.Cut(string(good[bytes.LastIndexByte(good[:at], '\n')+1:]), ":")
			accepted[strings.Trim(line, ` "`)]++
		}
		files[name].Data = good
	}
	t.Logf("accepted changes by member: %v", accepted)
	for member := range accepted {
		require.Contains(t, []string{"registration_closes_at", "chain_hash", "phase_closes_at"}, member)
	}
	require.NotEmpty(t, accepted, "the test must pass the digests")
}

func writeSums(files fstest.MapFS) {
	var sums []byte
	for _, name := range []string{"README.md", "draw.json", "entries.csv", "result.csv"} {
		sums = fmt.Appendf(sums, "%s  %s\n", sha(files[name].Data), name)
	}
	files["SHA256SUMS"] = &fstest.MapFile{Data: sums}
}

// Verify names the file and the line at fault.
func TestVerifyNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(fstest.MapFS)
		want   string
	}{
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
		files := export(t, smallDraw(t))
		c.change(files)
		if c.name != "damage" && len(files) == 5 && files["SHA256SUMS"] != nil && files["draw.json"] != nil {
			writeSums(files)
		}
		_, err := Verify(files)
		require.ErrorIs(t, err, ErrRefused, c.name)
		require.ErrorContains(t, err, c.want, c.name)
	}
}

func replace(name, old, new string) func(fstest.MapFS) {
	return func(files fstest.MapFS) {
		files[name].Data = bytes.Replace(files[name].Data, []byte(old), []byte(new), 1)
	}
}

// Export returns an error of a writer at the creation of a file, while writing and at its close.
func TestExportReportsWriteErrors(t *testing.T) {
	full := errors.New("no space left")
	for _, failing := range []string{"README.md", "draw.json", "entries.csv", "result.csv", "SHA256SUMS"} {
		for _, create := range []bool{true, false} {
			err := smallDraw(t).Export(func(name string) (io.WriteCloser, error) {
				file := &memoryFile{file: &fstest.MapFile{}}
				if name == failing && create {
					return nil, full
				} else if name == failing {
					file.err = full
				}
				return file, nil
			})
			require.ErrorIs(t, err, full)
			require.ErrorContains(t, err, failing)
		}
	}
}

// openssl runs the command-line tool, an independent implementation of SHA-256 and HMAC.
func openssl(t *testing.T, input []byte, arguments ...string) string {
	command := exec.Command("openssl", append([]string{"dgst", "-sha256"}, arguments...)...)
	command.Stdin = bytes.NewReader(input)
	out, err := command.Output()
	require.NoError(t, err, "this test needs the command openssl")
	fields := strings.Fields(string(out))
	return fields[len(fields)-1]
}

func unhex(t *testing.T, text string) []byte {
	data, err := hex.DecodeString(text)
	require.NoError(t, err)
	return data
}

// opensslRoot is the Merkle tree hash, computed with openssl.
func opensslRoot(t *testing.T, leaves []string) string {
	if len(leaves) == 1 {
		return openssl(t, []byte("\x00"+leaves[0]))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	node := append([]byte{1}, unhex(t, opensslRoot(t, leaves[:k]))...)
	return openssl(t, append(node, unhex(t, opensslRoot(t, leaves[k:]))...))
}

// A draw is recomputed from its exported files with openssl, by the README of the export and without this package.
func TestDrawRecomputedWithOpenSSL(t *testing.T) {
	files := export(t, smallDraw(t))
	var stated struct {
		Root, Randomness, Signature, Seed string
		Opens                             time.Time `json:"phase_opens_at"`
		Closes                            time.Time `json:"phase_closes_at"`
		Length                            int64     `json:"slot_length_seconds"`
		Step                              int64     `json:"slot_step_seconds"`
		Places                            int       `json:"slot_places"`
		Days                              int64     `json:"priority_days"`
		Group                             string    `json:"priority_group"`
	}
	require.NoError(t, json.Unmarshal(files["draw.json"].Data, &stated))
	entries, err := csv.NewReader(bytes.NewReader(files["entries.csv"].Data)).ReadAll()
	require.NoError(t, err)
	entries = entries[1:]
	slices.SortFunc(entries, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var leaves []string
	for _, one := range entries {
		leaves = append(leaves, one[0]+"\x1f"+one[1])
	}
	require.Equal(t, opensslRoot(t, leaves), stated.Root)
	require.Equal(t, openssl(t, unhex(t, stated.Signature)), stated.Randomness)
	require.Equal(t, openssl(t, append(unhex(t, stated.Root), unhex(t, stated.Randomness)...)), stated.Seed)

	var drawn [][]string // hmac, account, group
	for _, one := range entries {
		mac := openssl(t, []byte(one[0]), "-mac", "HMAC", "-macopt", "hexkey:"+stated.Seed)
		drawn = append(drawn, []string{mac, one[0], one[1]})
	}
	slices.SortFunc(drawn, func(a, b []string) int { return strings.Compare(a[0], b[0]) })

	var early, late []int64 // opening instants, one for each place
	for opens := stated.Opens.Unix(); opens+stated.Length <= stated.Closes.Unix(); opens += stated.Step {
		for range stated.Places {
			if opens < stated.Opens.Unix()+stated.Days*86400 {
				early = append(early, opens)
			} else {
				late = append(late, opens)
			}
		}
	}
	want := [][]string{{"rank", "account", "group", "hmac", "slot", "opens_at", "closes_at", "priority"}}
	for i, one := range drawn {
		line := []string{strconv.Itoa(i + 1), one[1], one[2], one[0], "", "", "", "false"}
		places := &late
		if one[2] == stated.Group && len(early) > 0 {
			places, line[7] = &early, "true"
		}
		if len(*places) > 0 {
			opens := (*places)[0]
			*places = (*places)[1:]
			line[4] = strconv.FormatInt((opens-stated.Opens.Unix())/stated.Step, 10)
			line[5] = time.Unix(opens, 0).UTC().Format(time.RFC3339)
			line[6] = time.Unix(opens+stated.Length, 0).UTC().Format(time.RFC3339)
		}
		want = append(want, line)
	}
	got, err := csv.NewReader(bytes.NewReader(files["result.csv"].Data)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// Replacing bytes of a file by other bytes is refused.
func FuzzVerify(f *testing.F) {
	files := export(f, smallDraw(f))
	f.Add(uint8(0), uint16(0), []byte("#"), false)
	f.Add(uint8(1), uint16(60), []byte("2023-01-31T17:00:01Z"), true)
	f.Add(uint8(2), uint16(14), []byte("A-1,club\n"), true)
	f.Add(uint8(3), uint16(57), []byte("1,"), true)
	f.Fuzz(func(t *testing.T, which uint8, at uint16, data []byte, sums bool) {
		name := []string{"README.md", "draw.json", "entries.csv", "result.csv", "SHA256SUMS"}[which%5]
		changed := fstest.MapFS{}
		for name, file := range files {
			changed[name] = &fstest.MapFile{Data: slices.Clone(file.Data)}
		}
		into := changed[name].Data
		copy(into[int(at)%len(into):], data)
		same := bytes.Equal(into, files[name].Data)
		if sums {
			writeSums(changed)
		}
		summary, err := Verify(changed)
		switch {
		case same || sums && which%5 == 4:
			require.NoError(t, err)
		case err == nil:
			require.True(t, sums)
			require.NotEqual(t, smallTerms(), summary.Terms)
		default:
			require.ErrorIs(t, err, ErrRefused)
		}
	})
}

// Entries that are parsed can be written in canonical form and parsed again.
func FuzzParseEntries(f *testing.F) {
	f.Add([]byte("account,group\na,\nb,club\n"))
	f.Add([]byte("account,group\nb,family\na,club\n"))
	f.Add([]byte("account,group\r\na,\"club\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseEntries(bytes.NewReader(data), "club")
		if err != nil {
			require.ErrorIs(t, err, ErrRefused)
			return
		}
		terms := smallTerms()
		result := &Result{Terms: terms, entries: entries}
		var written memoryFile
		written.file = &fstest.MapFile{}
		_, err = writeFile(func(string) (io.WriteCloser, error) { return &written, nil }, entriesFile, result.writeEntries)
		require.NoError(t, err)
		require.Len(t, written.file.Data, len(data))
		again, err := parseEntries(bytes.NewReader(written.file.Data), "club")
		require.NoError(t, err)
		require.Equal(t, entries.Root(), again.Root())
	})
}
