// Package rehearsal plays a whole sale in virtual time against the real engine: entries, draws, every phase of every
// programme, on one engine with one ledger and one journal. It shows that the sale definition works out, what it costs,
// and that not a single ticket is oversold on the way; its audit trusts none of the engine's own sums.
//
// # The crowd
//
// At scale 1 a draw has four million entries, three million of them from accounts that entered the draw before, too. With
// those who enter none and come to the open sales only the crowd is six million accounts. 15 % of the entrants of a draw
// belong to the priority group of its phase. Scale multiplies the crowd, the places of every pool and the places of every
// access slot, so a small rehearsal is as crowded as a large one.
//
// # The demand
//
// It is ours, no published figure, and made to be hard on the engine: more is asked for than there is, and most of it is
// asked for at once.
//
//   - What is wanted. A session draws (20 € + its mean price) of interest, since the price follows what people would give,
//     three times that for a medal session; within a session the cheaper category draws more, by mean price over price,
//     at least a quarter and at most four times. One pick in four is a wish of the heart, made over all places of the
//     phase, gone or not; the others go by the listing of what is left, as it stood when the hour began.
//   - How much. One to six tickets a session, most often two; packs take the same number of each of their sessions.
//     One buyer in eleven buys twice, three in a hundred go on until they meet their cap.
//   - Who comes when. A share of the winners of a draw uses the access slot, each at an hour of its own within it. A few
//     come too early, after the end, or without any slot. An open phase has its rush at the opening and thins out.
//   - What goes wrong. Of a hundred holds, six are abandoned and expire; one or two are paid for too late, and their
//     buyers come back; two are released; two requests are sent twice, and so is one confirmation. Some packs have the
//     wrong shape at first, some requests more tickets than a session allows.
//   - What a buyer does when refused. Sold out: take as many as are left, or look for another session, up to eight times.
//     Over the cap or limit: ask for what still fits.
//   - The last call. Where no later phase sells a phase's sessions, buyers go on coming, now for whatever is left, until
//     nothing is: every place on sale is asked for.
//
// # Time
//
// The sale clock stands still while those who come at one instant are served, then moves on by the time that a hold
// lasts, and all that was not paid for expires. Phases that overlap in the calendar overlap in the rehearsal.
//
// # The same again
//
// All chance comes from the seed. With one worker the same seed and scale give the same report, apart from what is
// measured. With several the outcome depends on who comes first, as in life.
package rehearsal
