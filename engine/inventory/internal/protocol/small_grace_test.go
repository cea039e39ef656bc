package protocol

import "testing"

// A grace period is over when each counter of each stripe has been seen at zero since it began. A call announces
// itself by adding one to a counter of its stripe, and the phase of the epoch chooses which. There may be several
// users of grace periods: the reclaimer, and a change of the definition. Each polls: it looks at the unused counter of
// every stripe, begins the next phase, and looks at the other counters. Stripes are seen at zero one after the other,
// at different times. A user that finds that the phase has changed looks at all stripes anew, so each phase ends after
// all counters that were unused in it were seen at zero in it. So a user may also count phases that others have ended.

type smallGrace struct {
	parity  uint8      // of the phase
	inside  [2][2]int8 // by stripe and parity: calls announced
	calls   [3]smallGraceCall
	users   [2]smallGraceUser
	already bool // a call stood on a row when it was freed
}

type smallGraceCall struct {
	at     string
	parity uint8   // that it read, perhaps long ago
	stands [2]bool // on the row of a user
}

// smallGraceUser has a row of its own.
type smallGraceUser struct {
	at      string
	linked  bool // a call that loads now finds the row
	parity  uint8
	current bool    // the phase is still the one that it loaded
	stripe  uint8   // that it looks at
	seen    [2]bool // by parity: all counters
	phases  uint8   // that have begun since its grace period did, up to 3
	freed   bool    // the row came back at least once
}

// smallGraceStripes are the stripes of the calls. The third may come from a stack that has moved.
var smallGraceStripes = [3]int{0, 0, 1}

// smallGraceModel has three calls and one user, or two calls and two users.
func smallGraceModel(users int, without string) smallModel[smallGrace] {
	start, calls := smallGrace{}, 4-users
	for i := range start.calls {
		start.calls[i].at = "read phase"
	}
	m := smallModel[smallGrace]{}
	for i := range calls {
		m.processes, m.endless = append(m.processes, "call"), append(m.endless, i)
	}
	for i := range users {
		m.processes = append(m.processes, "user")
		start.users[i] = smallGraceUser{at: "unlink", linked: true}
	}
	m.start = start
	m.step = func(s smallGrace, process int, to func(smallGrace)) {
		if process >= calls {
			smallGraceUses(&s, &s.users[process-calls], process-calls, without)
		} else {
			smallGraceCalls(&s, &s.calls[process], smallGraceStripes[3-calls+process], without)
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
		if process >= calls {
			return s.users[process-calls].at
		}
		return s.calls[process].at
	}
	m.reached = func(s smallGrace) bool { return s.users[0].freed && s.users[users-1].freed }
	return m
}

func smallGraceCalls(s *smallGrace, c *smallGraceCall, stripe int, without string) {
	early := without == "announcing before the first load"
	switch c.at {
	case "read phase":
		c.parity, c.at = s.parity, "announce"
		if early && c.stands == [2]bool{} {
			c.at = "load"
		}
	case "announce":
		s.inside[stripe][c.parity]++
		c.at = "load"
		if early {
			c.at = "withdraw"
		}
	case "load":
		c.stands, c.at = [2]bool{s.users[0].linked, s.users[1].linked}, "withdraw"
		if early {
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
		c.stands, c.at = [2]bool{}, "read phase"
	}
}

// smallGraceUses makes a step of a user. It unlinks its row, frees it after a grace period, and links the next tenant,
// for ever.
func smallGraceUses(s *smallGrace, u *smallGraceUser, n int, without string) {
	switch u.at {
	case "unlink":
		u.linked, u.at = false, "begin"
	case "begin":
		u.phases, u.seen, u.current, u.at = 0, [2]bool{}, false, "load the phase"
	case "load the phase":
		enough := uint8(3)
		if without == "three phases" {
			enough = 2
		}
		if u.phases >= enough {
			u.at = "free"
			return
		}
		if without != "looking anew in each phase" {
			u.stripe = 0
		}
		u.parity, u.current, u.at = s.parity, true, "look"
		if without == "waiting for the unused counter" && u.seen == [2]bool{} {
			u.seen[1-u.parity], u.at = true, "next phase"
		}
		if without == "seeing all unused counters at zero" && n == 1 {
			u.at = "next phase"
		}
	case "look":
		if s.inside[u.stripe][1-u.parity] != 0 {
			if !u.current {
				u.at = "load the phase"
			}
			return // polls again later
		}
		if u.stripe++; u.stripe < 2 && without != "looking at every stripe" {
			return
		}
		u.seen[1-u.parity], u.stripe, u.at = true, 0, "next phase"
		if u.seen[u.parity] || without == "waiting for the other counter" {
			u.at = "free"
		}
	case "next phase":
		if without == "changing the phase" { // it waits for the others while calls use them
			u.parity, u.at = 1-u.parity, "look"
			return
		}
		if u.current {
			s.parity = 1 - s.parity
			for i := range s.users {
				s.users[i].phases, s.users[i].current = min(s.users[i].phases+1, 3), false
			}
		}
		u.at = "load the phase"
		if without == "seeing all unused counters at zero" && n == 1 {
			u.parity, u.current, u.stripe, u.at = s.parity, true, 0, "look"
		}
	case "free":
		for _, c := range s.calls {
			s.already = s.already || c.stands[n]
		}
		*u = smallGraceUser{at: "link again", freed: true}
	case "link again":
		u.linked, u.at = true, "unlink"
	}
}

func TestSmallGracePeriod(t *testing.T) {
	var faults []smallCase[smallGrace]
	for _, rule := range []string{
		"announcing before the first load", "waiting for the unused counter", "waiting for the other counter",
		"looking at every stripe", "changing the phase", "withdrawing from the counter that was added to",
		"keeping the address of the counter",
	} {
		faults = append(faults, smallCase[smallGrace]{rule, smallGraceModel(1, rule)})
	}
	for _, rule := range []string{"three phases", "looking anew in each phase", "seeing all unused counters at zero"} {
		faults = append(faults, smallCase[smallGrace]{rule, smallGraceModel(2, rule)})
	}
	exploreSmall(t, []smallCase[smallGrace]{{"three calls on two stripes", smallGraceModel(1, "")},
		{"two users", smallGraceModel(2, "")}}, faults)
}
