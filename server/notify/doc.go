// Package notify mails the winners of a draw their access slots.
//
// [Run] takes the winners in the order of their ranks, looks up their addresses, renders a [Letter] for each, and sends
// it to an SMTP server over one connection, at a steady rate. It records what it has done in a file, the log. Another
// run continues from there, however the previous one ended.
//
// Each mail has two records in the log, each on disk before the next step:
//
//	record "try"  →  send, await the server's reply  →  record "sent" or "failed"
//
// Where a run ends decides what the next one does:
//
//	the run ends                                  last record   the next run   mails to the winner
//	before "try" is recorded                      none          sends          1
//	between "try" and the server's acceptance     try           sends          1
//	between the acceptance and the record "sent"  try           sends again    2, recognizable
//	after the record "sent"                       sent          does nothing   1
//
// No order of steps does better: SMTP has no way to query what a server accepted. So at most the one mail in flight is
// sent twice, and so is a mail whose reply was lost. Both copies have the same Message-ID, made from the draw, its root
// and the account. Mail systems that drop duplicates compare it, and a person can recognize the copy. A [Report] counts
// the mails that were in flight when the previous run ended.
package notify
