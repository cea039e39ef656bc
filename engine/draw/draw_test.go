package draw

import "time"

// secret is the secret of a test.
func secret() *Secret {
	s := Secret(sha([]byte("secret")))
	return &s
}

// sealed returns the terms for sealed entries.
func sealed(t Terms) Terms {
	t.PublishWithin, t.Commitment = 10*time.Minute, secret().Commitment()
	return t
}

// promptly is the timing of a draw whose entries are frozen a second after the close.
func promptly(t Terms) Timing {
	at := t.ClosesAt.Add(time.Second)
	return Timing{Frozen: Moment{Sale: at, Machine: at.Add(123 * time.Millisecond)}}
}

// paris returns terms like those of the packs of Paris 2024: slots of 48 hours from 15 February to 15 March 2023, the
// first four days reserved for the Club, decided by a stand-in.
func paris() Terms {
	return Terms{
		Draw: "draw1", ClosesAt: time.Date(2023, 1, 31, 17, 0, 0, 0, time.UTC), Chain: quicknet(), Round: 1000, StandIn: true,
		Phase: "packs", Slots: SlotRule{
			OpensAt: time.Date(2023, 2, 15, 9, 0, 0, 0, time.UTC), ClosesAt: time.Date(2023, 3, 15, 17, 0, 0, 0, time.UTC),
			Length: 48 * time.Hour, Step: 6 * time.Hour, Places: 2, PriorityDays: 4, Group: "club",
		},
	}
}
