package protocol

import "testing"

// A grace period is over when each counter of each stripe has been seen at zero since it began. A call announces
// itself by adding one to a counter of its stripe, and the parity of the epoch chooses which. The reclaimer polls: it
// waits for the unused counter of every stripe, changes the parity, and waits for the other counters. Stripes are seen
// at zero one after the other, at different times.

type smallGrace struct {
	parity  uint8
	inside  [2][2]int8 // by stripe and parity: calls announced
	linked  bool       // a call that loads now finds the row
	calls   [3]smallGraceCall
	at      string // the reclaimer's position
	stripe  uint8  // that it looks at
	freed   bool   // the row came back at least once
	already bool   // a call stood on the row when it was freed
}

type smallGraceCall struct {
	at     string
	parity uint8 // that it read, perhaps long ago
	stands bool  // on the row
}

// smallGraceStripes are the stripes of the calls. The third may come from a stack that has moved.
var smallGraceStripes = [3]int{0, 0, 1}

func smallGraceModel(without string) smallModel[smallGrace] {
	start := smallGrace{linked: true, at: "unlink"}
	for i := range start.calls {
		start.calls[i].at = "read parity"
	}
	m := smallModel[smallGrace]{start: start, processes: []string{"call 0", "call 1", "call 2", "reclaimer"}}
	m.endless = []int{0, 1, 2}
	m.step = func(s smallGrace, process int, to func(smallGrace)) {
		if process == 3 {
			smallGraceReclaims(s, without, to)
			return
		}
		c, stripe := &s.calls[process], smallGraceStripes[process]
		switch c.at {
		case "read parity":
			c.parity, c.at = s.parity, "announce"
			if without == "announcing before the first load" && !c.stands {
				c.at = "load"
			}
		case "announce":
			s.inside[stripe][c.parity]++
			c.at = "load"
			if without == "announcing before the first load" {
				c.at = "withdraw"
			}
		case "load":
			c.stands, c.at = s.linked, "withdraw"
			if without == "announcing before the first load" {
				c.at = "announce"
			}
		case "withdraw":
			which := c.parity
			switch without {
			case "withdrawing from the counter that was added to":
				which = s.parity
			case "keeping the address of the counter":
				stripe = 1 - stripe
			}
			s.inside[stripe][which]--
			c.stands, c.at = false, "read parity"
		}
		to(s)
	}
	m.check = func(s smallGrace, over bool) string {
		if s.already {
			return "the row is freed while a call stands on it"
		}
		if over {
			return "nothing moves"
		}
		return ""
	}
	m.at = func(s smallGrace, process int) string {
		if process == 3 {
			return s.at
		}
		return s.calls[process].at
	}
	m.reached = func(s smallGrace) bool { return s.freed }
	return m
}

// smallGraceReclaims makes a step of the reclaimer. It unlinks the row, frees it after a grace period, and links the
// next tenant, for ever.
func smallGraceReclaims(s smallGrace, without string, to func(smallGrace)) {
	switch s.at {
	case "unlink":
		s.linked, s.at, s.stripe = false, "wait unused", 0
		if without == "waiting for the unused counter" {
			s.at = "flip"
		}
	case "wait unused":
		if s.inside[s.stripe][1-s.parity] != 0 {
			to(s) // polls again later
			return
		}
		if s.stripe++; s.stripe == 2 || without == "looking at every stripe" {
			s.at, s.stripe = "flip", 0
		}
		if without == "waiting for the other counter" && s.at == "flip" {
			s.at = "free"
		}
	case "flip":
		if without != "changing the parity" {
			s.parity = 1 - s.parity
		}
		s.at = "wait other"
	case "wait other":
		which := 1 - s.parity
		if without == "changing the parity" {
			which = s.parity
		}
		if s.inside[s.stripe][which] != 0 {
			to(s)
			return
		}
		if s.stripe++; s.stripe == 2 || without == "looking at every stripe" {
			s.at, s.stripe = "free", 0
		}
	case "free":
		for _, c := range s.calls {
			s.already = s.already || c.stands
		}
		s.freed, s.at = true, "link again"
	case "link again":
		s.linked, s.at = true, "unlink"
	}
	to(s)
}

func TestSmallGracePeriod(t *testing.T) {
	var faults []smallCase[smallGrace]
	for _, rule := range []string{
		"announcing before the first load", "waiting for the unused counter", "waiting for the other counter",
		"looking at every stripe", "changing the parity", "withdrawing from the counter that was added to",
		"keeping the address of the counter",
	} {
		faults = append(faults, smallCase[smallGrace]{rule, smallGraceModel(rule)})
	}
	exploreSmall(t, []smallCase[smallGrace]{{"three calls on two stripes", smallGraceModel("")}}, faults)
}
