// Package notify tells the winners of a draw their access slots by mail.
//
// [Run] goes through the winners in the order of their ranks, looks up their addresses, renders a [Letter] for each, and
// hands it to an SMTP server over one connection, at a steady rate. What it has done it notes in a file, the log, so that a
// run that was ended, by whatever, can be followed by another that goes on.
//
// Around each mail there are two notes, each on disk before the next step:
//
//	note "try"  →  hand over, wait for the server's answer  →  note "sent" or "failed"
//
// A run that ends at some point leaves this to the next one:
//
//	ended                                       what the log has    what the next run does      mails the winner gets
//	before the note "try"                       nothing             sends                       1
//	between "try" and the server's acceptance   try                 sends                       1
//	between its acceptance and the note "sent"  try                 sends again                 2, recognizable
//	after the note "sent"                       sent                nothing                     1
//
// No order of steps does better: SMTP has no way to ask a server what it accepted. So at most the one mail that was
// under way is sent twice, and the same happens where the server's answer was lost on the way. Both copies carry the same
// Message-ID, which follows from the draw, its root and the account; mail systems that drop duplicates go by it, and a
// person can tell. A [Report] says how many mails were under way at the end of the run before.
package notify
