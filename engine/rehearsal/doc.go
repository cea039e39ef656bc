// Package rehearsal plays a whole sale in virtual time on the real engine: entries, draws, members of groups, and every
// phase of every programme, with one engine, one ledger and one journal. It shows that the sale definition works, what
// the sale costs to run, and that no ticket is oversold. Its audit uses none of the engine's own sums.
//
// # The crowd
//
// At scale 1 a draw has four million entries, three million of which are from accounts that also entered the previous
// draw. With the accounts that enter no draw and buy in the open phases only, the crowd is six million accounts. 15 %
// of the entrants of a draw belong to the priority group of its phase. If phases are for the members of a group, 15 %
// of the crowd join it before the first of them opens; the seed decides which. Scale multiplies the crowd, the tickets
// of every pool, the places of every phase and the winners of every access slot, so a small rehearsal is as crowded as
// a large one.
//
// # The demand
//
// The demand is invented, not a published figure, and meant to be hard on the engine: buyers want more than there is,
// and most of it at once.
//
//   - What buyers want. The interest in a session is 20 € + its mean price, since the price follows the demand, and
//     three times that for a medal session. Within a session a cheaper category attracts more interest: by mean price
//     over price, limited to between a quarter and four times. One pick in four ignores the stock and is made over all
//     tickets of the phase, sold or not; the others follow the listing of available tickets, which is updated between
//     instants.
//   - How much. One to six tickets a session, most often two; packs take the same number for each of their sessions.
//     One buyer in eleven buys twice, and three in a hundred buy until they reach their cap.
//   - When buyers come. A share of the winners of a draw uses the access slot, each at a random time within it. A few
//     come too early, after the end, or without a slot. An open phase has a rush at the opening, then the arrivals thin
//     out. So has a phase for the members of a group, and a few who are no members try it too; each is refused.
//   - What goes wrong. Of a hundred holds, six are abandoned and expire, one or two are paid for too late and their
//     buyers come back, and two are released. Two requests in a hundred are sent twice, and so is one confirmation in a
//     hundred. Some packs have the wrong shape at first, and some requests want more tickets than a session allows.
//   - How buyers react to a refusal. Sold out: take the remaining tickets, or choose another session, up to eight
//     times; that too where its sales have ended. Over the cap or limit: request what still fits. Several phases may be
//     meant: name one.
//   - The last call. If no later phase sells the sessions of a phase, more buyers come and take what is available until
//     nothing is: every ticket on sale is requested. A phase that has a number of places of a session sells so many,
//     and what is left of the session after the last phase was rightly refused.
//
// # Time
//
// The sale clock does not advance while the buyers of one instant are served. Then it advances by the lifetime of a
// hold, and every hold that was not paid for expires. Phases that overlap in the calendar overlap in the rehearsal.
//
// # Reproducibility
//
// All randomness comes from the seed, and so do the secrets of the draws. With one worker the same seed and scale
// give the same report, except for what is measured. With several workers the outcome depends on their timing.
package rehearsal
