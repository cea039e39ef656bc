package engine_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// fullFiles returns the files of the template that has everything, after edits of old texts to new ones.
func fullFiles(t testing.TB, edits ...string) fstest.MapFS {
	files, root := fstest.MapFS{}, catalog.Template(true).FS()
	for _, name := range []string{"sale.yaml", "venues.csv", "sessions.csv", "prices.csv", "stock.csv"} {
		text, err := fs.ReadFile(root, name)
		require.NoError(t, err)
		for j := 0; j < len(edits); j += 2 {
			text = []byte(strings.ReplaceAll(string(text), edits[j], edits[j+1]))
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

func loaded(t testing.TB, files fs.FS) *catalog.Sale {
	sale, err := catalog.LoadFS(files)
	require.NoError(t, err)
	return sale
}

// What is exported loads, and is no change when it is applied, whatever stock was set: also that of a session that the
// files have without prices. That of a removed session cannot be set.
func TestExportedFilesChangeNothing(t *testing.T) {
	for name, edits := range map[string][]string{
		"all sold": nil,
		"removed session": {"TEN02,summer,Tennis,Court 1,Paris,2034-07-21,11:00,19:00,0,First round\n", "",
			"TEN02,A,30,1500\n", ""},
		"without prices": {"TEN02,A,30,1500\n", ""},
	} {
		kept := newStore()
		s := sellerOn(loaded(t, fullFiles(t)), kept)
		s.clock.set(saleStart)
		require.NoError(t, s.start())
		if edits != nil {
			s.apply(t, loaded(t, fullFiles(t, edits...)))
		}
		capacity := 1577
		_, err := s.e.SetStock(t.Context(), "SRF01", "A", &capacity, nil)
		require.NoError(t, err, name)
		if _, err = s.e.SetStock(t.Context(), "TEN02", "A", &capacity, nil); name == "removed session" {
			require.Equal(t, engine.SessionNotFound, codeOf(t, err))
		} else {
			require.NoError(t, err, name)
		}
		d, err := s.e.Definition()
		require.NoError(t, err)
		exported := loaded(t, d.Files.FS())
		plan, err := s.e.Plan(exported)
		require.NoError(t, err)
		require.Empty(t, plan.Changes, name)
		require.Empty(t, plan.Objections, name)
		_, err = s.e.Apply(t.Context(), exported, draw.Digest{})
		require.NoError(t, err)
		now, err := s.e.Definition()
		require.NoError(t, err)
		require.Equal(t, d.Digest, now.Digest, name)
		require.Equal(t, now.Files.Digest(), d.Files.Digest(), name)
		require.Equal(t, engine.Pauses{}, now.Paused)
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), exported)
	}
}

// A start follows the rules by the files: those in force and those of earlier versions change nothing, also after the
// stock was set and a pause; new ones make a version, also if only their words are new, unless what they say was in
// force before the stock was set. A start that fails writes nothing.
func TestStartsWithAlternatingFiles(t *testing.T) {
	lower := []string{"account_cap: 30", "account_cap: 20"}
	a, b := loaded(t, fullFiles(t)), loaded(t, fullFiles(t, lower...))
	kept := newStore()
	s := sellerOn(a, kept)
	s.clock.set(saleStart)
	starts := func(sale *catalog.Sale, want engine.Start, changes int, do func()) {
		t.Helper()
		groups := len(kept.groups)
		s.options.Sale = sale
		require.NoError(t, s.start())
		is := s.e.Recovery().Sale
		require.Len(t, is.Changes, changes)
		is.Changes = nil
		require.Equal(t, want, is)
		require.Equal(t, want.Applied, len(kept.groups) > groups, "something is written")
		if do != nil {
			do()
		}
		require.NoError(t, s.e.Close())
		verify(t, kept.open(), nil)
	}
	starts(a, engine.Start{Version: 1, Applied: true}, 0, nil)
	starts(a, engine.Start{Version: 1}, 0, nil)
	starts(b, engine.Start{Version: 2, Applied: true}, 1, nil)
	starts(a, engine.Start{Version: 2, Earlier: 1}, 0, func() {
		capacity := 1600
		_, err := s.e.SetStock(t.Context(), "TEN02", "A", &capacity, nil)
		require.NoError(t, err)
		require.NoError(t, s.e.Pause(t.Context(), engine.Pausable{Session: "TEN02"}, true))
	})
	starts(a, engine.Start{Version: 2, Earlier: 1}, 0, nil)
	starts(b, engine.Start{Version: 2}, 0, func() { require.Equal(t, 1600, s.stockOf(t, "TEN02").Capacity) })
	crlf := loaded(t, fullFiles(t, append(lower, "\n", "\r\n")...))
	starts(crlf, engine.Start{Version: 2, Earlier: 2}, 0, func() { s.apply(t, crlf) }) // the stock of TEN02 is anew
	twice := loaded(t, fullFiles(t, append(lower, "\n", "\r\n", "name: demo", "# Again\r\nname: demo")...))
	starts(twice, engine.Start{Version: 4, Applied: true}, 0, nil)
	starts(b, engine.Start{Version: 4, Earlier: 2}, 0, func() {
		require.Equal(t, 1500, s.stockOf(t, "TEN02").Capacity)
		d, err := s.e.Definition()
		require.NoError(t, err)
		require.Equal(t, []string{"TEN02"}, d.Paused.Sessions)
		s.apply(t, a)
	})
	starts(a, engine.Start{Version: 5}, 0, nil)
	starts(b, engine.Start{Version: 5, Earlier: 2}, 0, nil)
	groups := len(kept.groups)
	s.options.Sale = loaded(t, fullFiles(t, "name: demo", "name: other"))
	require.ErrorContains(t, s.start(), `the journal belongs to the sale "demo"`)
	require.Len(t, kept.groups, groups)
}

// A start changes nothing with files that say what was in force before, although they were never applied: an export of
// it, with the stock that was set then, or files with another comment and other order. That holds after a replay of all
// records, from a checkpoint, and for files of what was in force between two versions. An apply puts it into force.
func TestStartsWithWhatWasInForce(t *testing.T) {
	for _, checkpoints := range []bool{false, true} {
		kept := newStore()
		s := sellerOn(loaded(t, fullFiles(t)), kept)
		s.clock.set(saleStart)
		starts := func(files fs.FS, want engine.Start, do func()) {
			t.Helper()
			s.options.Sale = loaded(t, files)
			require.NoError(t, s.start())
			is := s.e.Recovery().Sale
			is.Changes = nil
			require.Equal(t, want, is)
			if do != nil {
				do()
			}
			if checkpoints {
				_, err := s.e.Checkpoint(t.Context())
				require.NoError(t, err)
			}
			require.NoError(t, s.e.Close())
			verify(t, kept.open(), nil)
		}
		exported := func(edits ...string) fstest.MapFS {
			d, err := s.e.Definition()
			require.NoError(t, err)
			files := fstest.MapFS{}
			for _, name := range []string{"sale.yaml", "venues.csv", "sessions.csv", "prices.csv", "stock.csv"} {
				text, err := fs.ReadFile(d.Files.FS(), name)
				require.NoError(t, err)
				for i := 0; i < len(edits); i += 2 {
					text = []byte(strings.ReplaceAll(string(text), edits[i], edits[i+1]))
				}
				files[name] = &fstest.MapFile{Data: text}
			}
			return files
		}
		setStock := func(capacity int) {
			_, err := s.e.SetStock(t.Context(), "TEN02", "A", &capacity, nil)
			require.NoError(t, err)
		}
		var exports []fstest.MapFS
		starts(fullFiles(t), engine.Start{Version: 1, Applied: true}, func() {
			setStock(1577)
			exports = append(exports, exported())
			setStock(1578)
			exports = append(exports, exported())
			s.apply(t, loaded(t, exported("account_cap: 30", "account_cap: 20")))
			exports = append(exports, exported("name: demo", "# In force\nname: demo"))
		})
		commented := fullFiles(t, "name: demo", "# Forgotten\nname: demo")
		was := engine.Start{Version: 2, Earlier: 1}
		starts(exports[0], was, nil)
		starts(exports[1], was, nil)
		starts(commented, was, func() { setStock(1579) })
		reordered := fullFiles(t)
		rows := strings.SplitAfter(string(reordered["prices.csv"].Data), "\n")
		slices.Reverse(rows[1:])
		reordered["prices.csv"].Data = []byte(strings.Join(rows, ""))
		starts(reordered, was, nil)
		starts(exports[2], engine.Start{Version: 2, Earlier: 2}, func() {
			require.Equal(t, 1579, s.stockOf(t, "TEN02").Capacity)
			exports = append(exports, exported("name: demo", "# In force now\nname: demo"))
			s.apply(t, loaded(t, exports[0]))
		})
		starts(exports[3], engine.Start{Version: 3, Earlier: 2}, nil)
		starts(exports[1], engine.Start{Version: 3, Earlier: 1}, nil)
		starts(exports[0], engine.Start{Version: 3}, nil)
		starts(fullFiles(t, "account_cap: 30", "account_cap: 19"), engine.Start{Version: 4, Applied: true}, nil)
		starts(exports[0], engine.Start{Version: 4, Earlier: 3}, nil)
	}
}
