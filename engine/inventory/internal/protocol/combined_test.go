package protocol

import "testing"

// TestCombined explores rows that are used again while reservations change.
func TestCombined(t *testing.T) { exploreCases(t, combinedCases, combinedCase.explore) }

// TestCombinedLarge does so with three callers and with longer programs.
func TestCombinedLarge(t *testing.T) { exploreCases(t, largeCases, combinedCase.explore) }

// TestCombinedRules leaves each rule out.
func TestCombinedRules(t *testing.T) {
	exploreRules(t, combinedCases, combinedCase.explore, map[string]string{
		// What the reclaimer waits for.
		"drained":       "return, then forgotten, then new",
		"durable":       "an old confirm beside the id used again",
		"grace A":       "again, the old row is used again",
		"grace B":       "return, then forgotten, then new",
		"drained again": "again, the old row is used again",
		"start over":    "again, the old row is used again",
		// Which row has an id.
		"closed":                      "again against the reclaimer",
		"publish passes closed":       "a new x while the old one is taken again",
		"lead":                        "a finder on the chain",
		"past the whole chain":        "a finder on a chain of three",
		"named":                       "a sweep beside a reduce",
		"named until the slot is led": "the index moves, a row of a lower number follows",
		"named is cleared":            "two again against the reclaimer",
		"publish names":               "an id after a failure, a sweep",
		"no shortening":               "a finder on a chain of three",
		"repeat":                      "replace, the old row is freed, its repeat comes",
		// What is freed with a row.
		"ledger":                        "return, then forgotten, then new",
		"front first":                   "three rows of what is confirmed",
		"passed text":                   "reduce beside a return",
		"own text":                      "return, then forgotten, then new",
		"a failed change keeps no copy": "two changes of what is confirmed",
		// The journal, dumps and restarts.
		"hide":                       "a dump beside a reduce",
		"seq of both":                "a sweep beside a reduce",
		"logged of both":             "a dump beside a replace",
		"logged of the expired":      "a dump beside again and return",
		"what":                       "a dump beside a replace",
		"sequence":                   "a dump beside a replace and a new x",
		"closed rows are not dumped": "a dump beside two ends of x",
		"absolute":                   "a dump beside two reductions",
		"each half":                  "a dump beside a replace",
	})
}
