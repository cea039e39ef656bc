package draw

import "time"

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
