package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// families are the metrics of the sale. The help text of each is also in the table of README.md.
type families struct {
	all []*prometheus.Desc

	operations, engineTime, journalTime                    *prometheus.Desc
	answers, connections                                   *prometheus.Desc
	inFlight, backlogged, admissionLimit, admissionRefused *prometheus.Desc
	reservations, expired, tickets                         *prometheus.Desc
	accounts, accountsAtCap, slotsOpen, windowsOpen        *prometheus.Desc
	phaseOpen, saleClock                                   *prometheus.Desc
	ready, leader, epoch, standbyLag                       *prometheus.Desc
	journalUp, groups, records, bytes, syncTime            *prometheus.Desc
	queue, placed, durable                                 *prometheus.Desc
	checkpoints, checkpointAge, checkpointSize             *prometheus.Desc
	checkpointTook, recordsToReplay                        *prometheus.Desc
	difference, lastPass, passTook, passPools, passUn      *prometheus.Desc
}

func (f *families) add(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("seathold_"+name, help, labels, nil)
	f.all = append(f.all, d)
	return d
}

func newFamilies() *families {
	f := &families{}
	f.operations = f.add("operations_total",
		"Calls to the engine and operations of batches, by result: "+
			"ok, repeated, gave_up (the caller stopped waiting), or the refusal's code.", "call", "code")
	f.engineTime = f.add("operation_engine_seconds",
		"Time from a call to its result, without waiting for the journal.", "call")
	f.journalTime = f.add("operation_journal_seconds",
		"Time that a call waited for the journal, of calls that had to wait.", "call")
	f.answers = f.add("http_answers_total",
		"HTTP responses of the API by status, including those that never reached the engine.", "status")
	f.connections = f.add("http_connections", "Open connections of the API.")
	f.inFlight = f.add("admission_in_flight_operations", "Operations in flight: admitted and not yet answered.")
	f.backlogged = f.add("admission_queued_connections",
		"Connections with more pipelined reservations than can be answered soon.")
	f.admissionLimit = f.add("admission_limit_operations", "Most operations that may be in flight.")
	f.admissionRefused = f.add("admission_refused_total",
		"Operations refused by admission control, with the code overloaded.")
	f.sale()
	f.operation()
	return f
}

func (f *families) sale() {
	f.reservations = f.add("reservations", "Reservations by state; absent on a standby.", "state")
	f.expired = f.add("reservations_expired_total", "Reservations that expired.")
	f.tickets = f.add("tickets",
		"Tickets by state: available, held, sold or withheld. The sum is the capacity.",
		"programme", "discipline", "session", "state")
	f.accounts = f.add("accounts", "Accounts that have reserved or entered a draw.")
	f.accountsAtCap = f.add("accounts_at_cap",
		"Accounts that have reached their cap, as of the last check of conservation.", "programme")
	f.slotsOpen = f.add("access_slots_open",
		"Accounts whose access slot is open now, as of the last check of conservation.", "phase")
	f.windowsOpen = f.add("access_slot_windows_open", "Access slots that are open now.", "phase")
	f.phaseOpen = f.add("phase_open", "1 while the phase is open.", "phase")
	f.saleClock = f.add("sale_clock_timestamp_seconds", "Time of the sale clock, in seconds since 1970.")
}

func (f *families) operation() {
	f.ready = f.add("ready", "1 while reservations are accepted.")
	f.leader = f.add("leader", "1 while this server leads; 0 on a standby and during replay.")
	f.epoch = f.add("epoch", "Term number of this leader; 0 on a standby and if the journal is not shared.")
	f.standbyLag = f.add("standby_lag_seconds",
		"On a standby: time since it last had every record that the leader has made durable. 0 on a leader.")
	f.journalUp = f.add("journal_up",
		"1 while the journal makes outcomes durable; 0 after it has failed or stopped responding.")
	f.groups = f.add("journal_groups_total", "Groups made durable, with one sync each.")
	f.records = f.add("journal_records_total", "Records made durable.")
	f.bytes = f.add("journal_bytes_total", "Bytes of records made durable.")
	f.syncTime = f.add("journal_sync_seconds", "Time to make a group durable.")
	f.queue = f.add("journal_queue_records", "Outcomes placed in the journal's order and not yet durable.")
	f.placed = f.add("journal_placed_sequence", "Sequence of the last outcome placed in the journal's order.")
	f.durable = f.add("journal_durable_sequence", "Sequence of the last durable record.")
	f.checkpoints = f.add("checkpoints_total", "Checkpoints since the start, by result: complete or failed.", "result")
	f.checkpointAge = f.add("checkpoint_age_seconds",
		"Time since the last complete checkpoint, or since the start before the first.")
	f.checkpointSize = f.add("checkpoint_size_bytes", "Size of the last complete checkpoint; 0 before the first.")
	f.checkpointTook = f.add("checkpoint_duration_seconds",
		"Duration of the last complete checkpoint; 0 before the first.")
	f.recordsToReplay = f.add("checkpoint_behind_records",
		"Records since the last complete checkpoint began, which a restart would replay.")
	f.difference = f.add("conservation_difference_tickets",
		"Tickets by which I1 (stock) or I2 (caps and limits) is violated. Always 0.", "invariant")
	f.lastPass = f.add("conservation_last_pass_timestamp_seconds",
		"Time at which the last full check of I1 and I2 ended, in seconds since 1970; 0 before the first.")
	f.passTook = f.add("conservation_pass_duration_seconds", "Duration of the last full check, including its pauses.")
	f.passPools = f.add("conservation_pools",
		"Pools by how the last check counted them: exact, or bounded if sales continued meanwhile.", "check")
	f.passUn = f.add("conservation_unsteady_ledgers", "Ledgers that the last check skipped because they kept changing.")
}

// seconds converts a duration to the unit of all metrics.
func seconds(d time.Duration) float64 { return d.Seconds() }
