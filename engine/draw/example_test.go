package draw_test

import (
	"fmt"
	"log"
	"time"

	"github.com/seathold/seathold/engine/draw"
)

// Freeze three entries, decide the draw by a published round of quicknet, and check the proof of one entry.
func Example() {
	accounts := []string{"ann", "bob", "eve"}
	club := map[string]uint8{"bob": 1} // 1 + an index into the groups
	secret := draw.Secret{1, 2, 3}     // random, and made when the draw is announced
	entries, err := draw.Freeze(&secret, len(accounts),
		func(into []byte, i int) []byte { return append(into, accounts[i]...) },
		func(i int) uint8 { return club[accounts[i]] }, []string{"club"})
	if err != nil {
		log.Fatal(err)
	}
	root := entries.Root() // publish it now, before the beacon is known

	beacon, err := draw.ParseBeacon([]byte(`{"round":1000,` +
		`"randomness":"fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",` +
		`"signature":"b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125` +
		`e342b73a8dd2bacbe47e4b6b63ed5e39"}`))
	if err != nil {
		log.Fatal(err)
	}
	opens := time.Date(2023, 8, 24, 10, 0, 0, 0, time.UTC)
	closes := time.Date(2023, 8, 23, 15, 0, 0, 0, time.UTC)
	now := closes.Add(3 * time.Second)
	frozen := draw.Timing{Frozen: draw.Moment{Sale: now, Machine: now}}
	result, err := draw.Run(entries, draw.Terms{
		Draw: "ballot", ClosesAt: closes, Round: 1000, Phase: "packs",
		PublishWithin: 10 * time.Minute, Commitment: secret.Commitment(),
		Chain: draw.Chain{
			Hash: "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
			PublicKey: "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451" +
				"0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
			Genesis: time.Unix(1692803367, 0), Period: 3 * time.Second,
		},
		Slots: draw.SlotRule{
			OpensAt: opens, ClosesAt: opens.Add(96 * time.Hour), Length: 48 * time.Hour, Step: 24 * time.Hour, Places: 1,
			PriorityDays: 1, Group: "club",
		},
	}, frozen, beacon)
	if err != nil {
		log.Fatal(err)
	}
	for won := range result.Winners {
		fmt.Println(won.Rank, accounts[won.Entry], "from", won.OpensAt.Format(time.DateTime), "priority:", won.Priority)
	}

	salt := secret.Salt("ann") // ann receives it, and nobody else
	handle := draw.HandleOf(salt, "ann")
	position, _ := entries.Find(handle[:])
	proof := entries.Proof(position)
	fmt.Println("ann was frozen:", proof.Verify(root, handle, ""))
	fmt.Println("ann was in the club:", proof.Verify(root, handle, "club"))
	// Output:
	// 1 ann from 2023-08-25 10:00:00 priority: false
	// 2 bob from 2023-08-24 10:00:00 priority: true
	// 3 eve from 2023-08-26 10:00:00 priority: false
	// ann was frozen: true
	// ann was in the club: false
}
