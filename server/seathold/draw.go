package main

// drawCommand is everything that is done with draws from the command line. All commands but verify, check and notify
// call a running server.
type drawCommand struct {
	Register registerCommand   `cmd:"" help:"Enter the accounts of a CSV file for a draw."`
	Withdraw withdrawCommand   `cmd:"" help:"Take entries for a draw back, until they are frozen."`
	Postpone postponeCommand   `cmd:"" help:"Name a later round to decide a draw, before the present one is due."`
	Run      runDrawCommand    `cmd:"" help:"Decide a draw by the beacon of its round."`
	Export   exportCommand     `cmd:"" help:"Fetch the files with which anyone can verify a draw."`
	Verify   verifyDrawCommand `cmd:"" help:"Recompute an exported draw and compare every byte."`
	Check    checkEntryCommand `cmd:"" help:"Check one's own entry against the published root and the export."`
	Notify   notifyCommand     `cmd:"" help:"Mail the winners of a draw their access slots."`
}

// standInWarning is printed wherever a draw that a stand-in decides is run, exported or verified.
const standInWarning = "STAND-IN: the deciding round was known before this draw was defined. This shows how " +
	"the result follows from the round, not that nobody could foresee it."

// undatedWarning is printed where an export is verified: the dates in it are the organiser's.
const undatedWarning = "Nothing in an export shows when its root was published. The root proves a fair draw to " +
	"whoever received it from the organiser, or from somebody they trust, before the round was due."
