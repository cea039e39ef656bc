package draw

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// smallDraw is a draw of eleven entries with two slots reserved for the Club, three others, and too few places for all.
func smallDraw(t require.TestingT) *Result {
	terms := smallTerms()
	return drawSmall(t, freezers["sealed"], terms, promptly(terms))
}

// smallAccountsDraw is the same draw in format 1.
func smallAccountsDraw(t require.TestingT) *Result {
	return drawSmall(t, freezers["accounts"], smallAccountsTerms(), Timing{})
}

// bothDraws are both, by the directory of their golden bytes.
func bothDraws(t require.TestingT) map[string]*Result {
	return map[string]*Result{"testdata/export": smallAccountsDraw(t), "testdata/export2": smallDraw(t)}
}

func drawSmall(t require.TestingT, freezer freezer, terms Terms, timing Timing) *Result {
	entries := []entry{
		{"zoe@example.org", ""}, {"A-1", "club"}, {"a-1", ""}, {"a-10", "club"}, {"a-2", "family"}, {"m:77", "club"},
		{"m:78", ""}, {"n_1", "club"}, {"b", "club"}, {"c.c", ""}, {"d", ""},
	}
	data, err := os.ReadFile("testdata/quicknet_1000.json")
	require.NoError(t, err)
	beacon, err := ParseBeacon(data)
	require.NoError(t, err)
	result, err := Run(freezer.of(t, entries, []string{"family", "club"}), terms, timing, beacon)
	require.NoError(t, err)
	return result
}

func smallTerms() Terms { return sealed(smallAccountsTerms()) }

func smallAccountsTerms() Terms {
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
	for _, c := range []struct {
		format int
		draw   func(require.TestingT) *Result
		terms  Terms
	}{{1, smallAccountsDraw, smallAccountsTerms()}, {2, smallDraw, smallTerms()}} {
		result := c.draw(t)
		files := export(t, result)
		require.Equal(t, files, export(t, c.draw(t)), "the same draw gives the same bytes")
		summary, err := Verify(files)
		require.NoError(t, err)
		want := Summary{
			Format: c.format, Terms: c.terms, Timing: result.Timing, Entries: 11, Root: result.Root,
			Randomness: result.Beacon.Randomness, Seed: result.Seed, Slots: 5, Winners: 10, Priority: 4,
		}
		if c.format == 2 {
			want.TermsDigest = sha(files["terms.json"].Data)
			digest, err := c.terms.Digest()
			require.NoError(t, err)
			require.Equal(t, digest, want.TermsDigest)
		}
		require.Equal(t, want, summary)
		require.Contains(t, string(files["README.md"].Data), "A stand-in decided", "the export states it")
		require.True(t, summary.Terms.StandIn, "the summary states it")

		terms := c.terms
		terms.StandIn = false // round 1000 is of August 2023
		honest, err := Run(result.entries, terms, promptly(terms), result.Beacon)
		require.NoError(t, err)
		files = export(t, honest)
		summary, err = Verify(files)
		require.NoError(t, err)
		require.False(t, summary.Terms.StandIn)
		require.NotContains(t, string(files["README.md"].Data), "A stand-in decided")
	}
}

// No account, salt or secret is in any file of format 2.
func TestExportHidesAccounts(t *testing.T) {
	for name, file := range export(t, smallDraw(t)) {
		for _, account := range []string{"zoe@example.org", "A-1", "a-10", "m:77", "n_1", "c.c"} {
			require.NotContains(t, string(file.Data), account, name)
			salt := secret().Salt(account)
			require.NotContains(t, string(file.Data), salt.String(), name)
		}
		require.NotContains(t, string(file.Data), hex.EncodeToString(secret()[:]), name)
	}
}

var update = flag.Bool("update", false, "write the golden bytes of the newest format")

// The bytes of each format. A change here is a new format: earlier exports must still verify.
func TestExportFormat(t *testing.T) {
	for dir, result := range bothDraws(t) {
		files := export(t, result)
		if *update && dir == "testdata/export2" {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			for name, file := range files {
				require.NoError(t, os.WriteFile(dir+"/"+name, file.Data, 0o644))
			}
		}
		found, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, found, len(files))
		for _, file := range found {
			golden, err := os.ReadFile(dir + "/" + file.Name())
			require.NoError(t, err)
			require.Equal(t, string(golden), string(files[file.Name()].Data), file.Name())
		}
		_, err = Verify(os.DirFS(dir))
		require.NoError(t, err)
	}
}

// Changing, adding or removing any byte of any file is detected.
func TestEveryByteCounts(t *testing.T) {
	for dir, result := range bothDraws(t) {
		t.Run(dir, func(t *testing.T) { everyByteCounts(t, export(t, result)) })
	}
}

func everyByteCounts(t *testing.T, files fstest.MapFS) {
	tried := 0
	for name, file := range files {
		good := file.Data
		step := 1
		if name == "README.md" || files["terms.json"] == nil { // the same code checks each of these bytes
			step = 5
		}
		for at := 0; at < len(good); at += step {
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
	for dir, result := range bothDraws(t) {
		t.Run(dir, func(t *testing.T) { rewrittenSumsDoNotHelp(t, result) })
	}
}

func rewrittenSumsDoNotHelp(t *testing.T, result *Result) {
	files := export(t, result)
	honest, err := Verify(files)
	require.NoError(t, err)
	accepted := map[string]int{}
	for _, name := range writtenFiles(files) {
		good := files[name].Data
		step := 1
		if name != "draw.json" || files["terms.json"] == nil { // the same code checks each of these bytes
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
			require.Contains(t, []string{"draw.json", "terms.json"}, name, "byte %d", at)
			require.NotEqual(t, honest, summary, "byte %d is not reported", at)
			line, _, _ := strings.Cut(string(good[bytes.LastIndexByte(good[:at], '\n')+1:]), ":")
			accepted[strings.Trim(line, ` "`)]++
		}
		files[name].Data = good
	}
	t.Logf("accepted changes by member: %v", accepted)
	for member := range accepted {
		require.Contains(t, []string{"registration_closes_at", "chain_hash", "phase_closes_at", "publish_within_seconds",
			"secret_commitment", "frozen_at", "frozen_at_machine"}, member)
	}
	require.NotEmpty(t, accepted, "the test must pass the digests")
}

// writtenFiles returns the names of the files but SHA256SUMS, in the order in which they are written.
func writtenFiles(files fstest.MapFS) []string {
	names := []string{"README.md", "draw.json", "entries.csv", "result.csv"}
	if files["terms.json"] != nil {
		names = slices.Insert(names, 1, "terms.json")
	}
	return names
}

func writeSums(files fstest.MapFS) {
	var sums []byte
	for _, name := range writtenFiles(files) {
		sums = fmt.Appendf(sums, "%s  %s\n", sha(files[name].Data), name)
	}
	files["SHA256SUMS"] = &fstest.MapFile{Data: sums}
}

// fault is a change of an export and what Verify says of it.
type fault struct {
	name   string
	change func(fstest.MapFS)
	want   string
}

// Verify names the file and the line at fault.
func TestVerifyNamesWhatIsWrong(t *testing.T) {
	for _, c := range []fault{
		{"a file missing", func(f fstest.MapFS) { delete(f, "result.csv") }, "result.csv is missing"},
		{"the sums missing", func(f fstest.MapFS) { delete(f, "SHA256SUMS") }, "SHA256SUMS is missing"},
		{"the terms missing", func(f fstest.MapFS) { delete(f, "terms.json") }, "SHA256SUMS, line 2, must be"},
		{"nothing", func(f fstest.MapFS) { clear(f) }, "README.md is missing"},
		{"an additional file", func(f fstest.MapFS) { f["notes.txt"] = &fstest.MapFile{} },
			"notes.txt is not a file of an export; remove it"},
		{"an additional last file", func(f fstest.MapFS) { f["z"] = &fstest.MapFile{} },
			"z is not a file of an export; remove it"},
		{"a directory", func(f fstest.MapFS) { f["draw.json/x"] = f["draw.json"]; delete(f, "draw.json") },
			"draw.json is not a regular file"},
		{"damage", func(f fstest.MapFS) { f["entries.csv"].Data[20]++ }, "SHA256SUMS, line 4, must be"},
		{"an entry added", replace("entries.csv", "handle,group,weight\n",
			"handle,group,weight\n"+strings.Repeat("0", 64)+",,1\n"), "entries.csv has the root"},
		{"an entry left out", cutLine("entries.csv", 3), "entries.csv has the root"},
		{"an entry twice", twiceLine("entries.csv", 3), `account entered twice`},
		{"another group", replace("entries.csv", ",club,1\n", ",,1\n"), "entries.csv has the root"},
		{"another weight", replace("entries.csv", ",club,1\n", ",club,2\n"), "invalid weight"},
		{"no weight", replace("entries.csv", ",club,1\n", ",club\n"), "invalid weight"},
		{"an account", replace("entries.csv", "weight\n", "weight\nann@example.org,,1\n"),
			"a handle has 64 hexadecimal digits"},
		{"a longer handle", replace("entries.csv", ",,1", "0,,1"), "a handle has 64 hexadecimal digits"},
		{"no comma", replace("entries.csv", "weight\n", "weight\n1\n"), "entries.csv, line 2: "},
		{"the header of format 1", replace("entries.csv", "handle,group,weight\n", "account,group\n"),
			"entries.csv, line 1, must be"},
		{"another order", swapLines("entries.csv", 2), "entries.csv differs from the recomputed draw from line 2 on"},
		{"a handle in capitals", upperLine("entries.csv", 2), "entries.csv differs from the recomputed draw from line 2 on"},
		{"a better rank", replace("result.csv", "\n1,", "\n2,"),
			"result.csv differs from the recomputed draw from line 2 on"},
		{"a truncated result", func(f fstest.MapFS) { f["result.csv"].Data = f["result.csv"].Data[:700] },
			"result.csv ends early, in line"},
		{"other terms", replace("terms.json", `"slot_places": 2`, `"slot_places": 3`),
			"draw.json differs from the recomputed draw from line 3 on"},
		{"another secret", replace("terms.json", `"secret_commitment": "`, `"secret_commitment": "0`),
			"the commitment must be"},
		{"no secret", func(f fstest.MapFS) {
			commitment := secret().Commitment().String()
			replace("terms.json", commitment, strings.Repeat("0", 64))(f)
		}, "sealed entries need the commitment of a secret"},
		{"no time to publish", replace("terms.json", `"publish_within_seconds": 600`, `"publish_within_seconds": 0`),
			"the time to publish the root must be"},
		{"another seed", replace("draw.json", `"seed": "`, `"seed": "0`),
			"draw.json differs from the recomputed draw from line 13 on"},
		{"another round", replace("draw.json", `"round": 1000`, `"round": 1001`), ErrOtherRound.Error()},
		{"another randomness", replace("draw.json", `"randomness": "fe`, `"randomness": "ff`), ErrRandomness.Error()},
		{"frozen before the close", replace("draw.json", `"frozen_at": "2023-01-31T17`, `"frozen_at": "2023-01-31T16`),
			ErrMoment.Error()},
		{"no instant", replace("draw.json", `"frozen_at": "2023`, `"frozen_at": "1953`), ErrMoment.Error()},
		{"root too short", replace("draw.json", `"root": "`, `"root": "0`), "the root must be"},
		{"a file cut", func(f fstest.MapFS) { f["terms.json"].Data = f["terms.json"].Data[:100] }, "terms.json: "},
		{"huge", func(f fstest.MapFS) { f["terms.json"].Data = bytes.Repeat([]byte(" "), 1<<15) }, "terms.json exceeds"},
	} {
		c.check(t, export(t, smallDraw(t)))
	}
}

func (c *fault) check(t *testing.T, files fstest.MapFS) {
	whole := len(files)
	c.change(files)
	if c.name != "damage" && len(files) == whole && files["SHA256SUMS"] != nil && files["draw.json"] != nil {
		writeSums(files)
	}
	_, err := Verify(files)
	require.ErrorIs(t, err, ErrRefused, c.name)
	require.ErrorContains(t, err, c.want, c.name)
}

// changeLines changes the lines of a file, each with its line feed.
func changeLines(name string, change func(lines [][]byte) [][]byte) func(fstest.MapFS) {
	return func(files fstest.MapFS) {
		files[name].Data = bytes.Join(change(bytes.SplitAfter(files[name].Data, []byte("\n"))), nil)
	}
}

func cutLine(name string, line int) func(fstest.MapFS) {
	return changeLines(name, func(all [][]byte) [][]byte { return slices.Delete(all, line-1, line) })
}

func twiceLine(name string, line int) func(fstest.MapFS) {
	return changeLines(name, func(all [][]byte) [][]byte { return slices.Insert(all, line, all[line-1]) })
}

func swapLines(name string, line int) func(fstest.MapFS) {
	return changeLines(name, func(all [][]byte) [][]byte {
		all[line-1], all[line] = all[line], all[line-1]
		return all
	})
}

func upperLine(name string, line int) func(fstest.MapFS) {
	return changeLines(name, func(all [][]byte) [][]byte {
		all[line-1] = bytes.ToUpper(all[line-1])
		return all
	})
}

func replace(name, old, new string) func(fstest.MapFS) {
	return func(files fstest.MapFS) {
		files[name].Data = bytes.Replace(files[name].Data, []byte(old), []byte(new), 1)
	}
}

// Export returns an error of a writer at the creation of a file, while writing and at its close.
func TestExportReportsWriteErrors(t *testing.T) {
	full := errors.New("no space left")
	for _, failing := range []string{"README.md", "terms.json", "draw.json", "entries.csv", "result.csv", "SHA256SUMS"} {
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
