package metrics

import "github.com/prometheus/client_golang/prometheus"

// families are the metrics of the sale. Their names begin with seathold_. The table of README.md has the same texts.
var families = []struct {
	name, help string
	labels     []string
}{
	{"operations_total",
		"Calls to the engine and operations of batches, by result: " +
			"ok, repeated, gave_up (the caller stopped waiting), or the refusal's code.", []string{"call", "code"}},
	{"operation_engine_seconds", "Time from a call to its result, without waiting for the journal.", []string{"call"}},
	{"operation_journal_seconds", "Time that a call waited for the journal, of calls that had to wait.", []string{"call"}},
	{"http_answers_total",
		"HTTP responses of the API by status, including those that never reached the engine.", []string{"status"}},
	{"http_key_answers_total", "HTTP responses of the API by the name of the caller's key, the route and the status. " +
		"Route unknown is a path that does not exist, unread a request that could not be read.",
		[]string{"key", "route", "status"}},
	{"http_wait_seconds", "Time that clients waited for a response, from the first byte of the request to the last of " +
		"the response, by route and result: ok (a status below 400), refused (4xx), failed (5xx), or cut (below " +
		"500, but not written whole: the client has hung up, or read too slowly).",
		[]string{"route", "result"}},
	{"http_connections", "Open connections of the API.", nil},
	{"http_lists_made_total",
		"Lists of sessions or stock that were encoded, each for all readers until the stock changes.", nil},
	{"http_buffered_bytes", "Bytes of large bodies and answers in flight, and of lists.", nil},
	{"http_buffered_limit_bytes", "Most bytes of these (--max-buffered).", nil},
	{"http_buffered_refused_total", "Requests refused as overloaded because no such bytes were left.", nil},
	{"http_buffered_cut_off_total", "Slow clients that were cut off because others needed such bytes.", nil},
	{"http_connections_limit", "Most open connections of the API.", nil},
	{"turns", "Turns that are taken: requests that are being served.", nil},
	{"turns_limit", "Turns that there are now. Their number follows the load; further requests wait.", nil},
	{"turns_waiting_requests", "Requests that wait for a turn, by urgency: finishing (confirms, releases, changes and " +
		"reads of one's own), buying, browsing, or refused (their refusal is held back).",
		[]string{"urgency"}},
	{"turn_wait_seconds", "Time that a request waited for its turn, of those that had to wait and were served.", nil},
	{"overload_refusals_total", "Requests and connections refused as overloaded, by reason: waited (too long for a " +
		"turn), list (too long for a list of stock), key (too many requests of the key in flight), connections or address " +
		"(too many connections, of all or from one address).", []string{"reason"}},
	{"tls_certificate_not_after_timestamp_seconds",
		"Time at which a certificate ends, in seconds since 1970: the server's with its chain, or the first of the " +
			"authorities of clients. Missing without TLS.", []string{"certificate"}},
	{"tls_handshakes_in_progress", "TLS handshakes of the API that have begun and not ended.", nil},
	{"tls_handshakes_waiting", "TLS handshakes of the API that wait for a slot to compute in.", nil},
	{"tls_handshakes_total",
		"TLS handshakes of the API that were completed, by kind: full, or resumed with a ticket.", []string{"kind"}},
	{"tls_handshake_failures_total",
		"TLS handshakes of the API that failed, by reason: timeout, overloaded (it waited too long for a slot), " +
			"abandoned (by its client while it waited for a slot), closed (by this server), disconnected (by the client " +
			"at another moment), refused_by_client (by its alert), client_certificate (missing or not accepted), " +
			"not_tls, protocol.",
		[]string{"reason"}},
	{"tls_handshake_seconds",
		"Time that a TLS handshake of the API took, waiting included, of those that were completed.", nil},
	{"reservations", "Reservations by state: held, confirmed, released, returned or expired; absent on a standby.",
		[]string{"state"}},
	{"reservations_expired_total", "Reservations that expired.", nil},
	{"waits_total", "Calls that waited for a step of another call, by result: completed, or timed_out after 100 ms.",
		[]string{"result"}},
	{"tickets",
		"Tickets by state: available, held, sold or withheld. The sum is the capacity.",
		[]string{"programme", "discipline", "session", "state"}},
	{"table_fill_ratio", "Used share of a table: reservations, accounts or notes. At 1 calls are refused as full.",
		[]string{"table"}},
	{"table_rows", "Rows of a table that are in use. Reservations: those that are known, the former rows of changed " +
		"ones, and those that wait to be free. Notes: records about draws, groups and the definition that the journal's " +
		"writer has not taken yet.", []string{"table"}},
	{"table_rows_limit", "Most rows of a table (--max-reservations, --max-accounts; notes follow from --max-accounts).",
		[]string{"table"}},
	{"table_rows_freed_total", "Rows that were made free again, by table: reservations or accounts.", []string{"table"}},
	{"reservations_forgotten_total", "Reservations that were forgotten, by the state in which they had ended: released, " +
		"returned or expired.", []string{"state"}},
	{"forget_after_seconds", "How long what has ended is remembered now, on the sale clock: --forget, or less while a " +
		"table is over three quarters full.", nil},
	{"forget_after_limit_seconds", "How long what has ended is remembered while the tables have room (--forget).", nil},
	{"reclaim_waiting_rows",
		"Rows of reservations that are made free as soon as the calls that run now, and may read them, have returned.", nil},
	{"reclaim_grace_seconds", "How long no row has been made free because calls that may read it have not returned; 0 " +
		"if all have. It is below 0.2 s unless a call stalls.", nil},
	{"accounts", "Accounts of known reservations, of entries in draws and of members of groups.", nil},
	{"accounts_kept", "Accounts that have entered a draw or a group. They are never forgotten.", nil},
	{"accounts_closed", "Accounts that are forgotten, and whose rows are not free yet.", nil},
	{"accounts_at_cap",
		"Accounts that have reached their cap, as of the last check of conservation.", []string{"programme"}},
	{"access_slots_open",
		"Accounts whose access slot is open now, as of the last check of conservation.", []string{"phase"}},
	{"access_slot_windows_open", "Access slots that are open now.", []string{"phase"}},
	{"phase_open", "1 while the phase is open, and neither it nor the sale is paused.", []string{"phase"}},
	{"phase_places", "Tickets that the phase sells at most, over all sessions for which its places are bounded. " +
		"Missing for a phase without bounds.", []string{"phase"}},
	{"phase_places_taken", "Places of these that are held or sold in the phase, or withheld after a return.",
		[]string{"phase"}},
	{"group_members", "Members of the group. Missing on a standby that cannot read.", []string{"group"}},
	{"definition_version", "Version of the sale's definition that is in force.", nil},
	{"definition_changed_timestamp_seconds", "Time of the sale clock at which the definition, a pause or a pool's stock " +
		"was last changed, in seconds since 1970.", nil},
	{"definition_changes_total", "Calls to change the definition, a pause or a pool's stock, by result: changed, or " +
		"refused (those that failed included).", []string{"result"}},
	{"paused", "Parts of the sale that take no new holds for now, by kind: sale (1 if all of it), phases and sessions.",
		[]string{"kind"}},
	{"draw_unfrozen_seconds",
		"Time on the sale clock since registration for the draw closed, while its entries are not frozen; otherwise 0. " +
			"Missing on a standby that cannot read.",
		[]string{"draw"}},
	{"draw_void",
		"1 if the draw's round is due and its entries were not frozen before: it cannot be run. " +
			"Missing on a standby that cannot read.",
		[]string{"draw"}},
	{"sale_clock_timestamp_seconds", "Time of the sale clock, in seconds since 1970.", nil},
	{"sale_clock_ahead_seconds",
		"Time by which the sale clock is ahead of the wall clock; negative if it is behind. 0 for a simulated clock.", nil},
	{"ready", "1 while reservations are accepted.", nil},
	{"leader", "1 while this server leads; 0 on a standby, during replay, and once its journal has failed for good.", nil},
	{"epoch", "Term number of this leader; 0 on a standby and if the journal is not shared.", nil},
	{"standby_lag_seconds",
		"On a standby: time since it last had every record that the leader has made durable. 0 on a leader.", nil},
	{"journal_up", "1 while the journal makes outcomes durable; 0 after it has failed or stopped responding.", nil},
	{"journal_safe",
		"1 while no crash or failover of the journal's store may lose acknowledged outcomes.", nil},
	{"journal_retrying", "1 while calls to the journal's store fail and are retried.", nil},
	{"journal_retries_total", "Calls to the journal's store that failed and were retried.", nil},
	{"journal_resent_entries_total",
		"Entries of the journal appended again because the store had acknowledged and then lost them.", nil},
	{"journal_groups_total", "Groups made durable, with one sync each.", nil},
	{"journal_records_total", "Records made durable.", nil},
	{"journal_bytes_total", "Bytes of records made durable.", nil},
	{"journal_sync_seconds", "Time to make a group durable.", nil},
	{"journal_queue_records", "Outcomes placed in the journal's order and not yet durable.", nil},
	{"journal_placed_sequence", "Sequence of the last outcome placed in the journal's order.", nil},
	{"journal_durable_sequence", "Sequence of the last durable record.", nil},
	{"checkpoints_total", "Checkpoints since the start, by result: complete or failed.", []string{"result"}},
	{"checkpoint_running", "1 while a checkpoint is being written, otherwise 0.", nil},
	{"checkpoint_age_seconds", "Time since the last complete checkpoint, or since the start before the first.", nil},
	{"checkpoint_size_bytes", "Size of the last complete checkpoint; 0 before the first.", nil},
	{"checkpoint_duration_seconds", "Duration of the last complete checkpoint; 0 before the first.", nil},
	{"checkpoint_behind_records", "Records since the last complete checkpoint began, which a restart would replay.", nil},
	{"conservation_difference_tickets",
		"Tickets by which I1 (stock) or I2 (caps and limits) is violated. Always 0.", []string{"invariant"}},
	{"conservation_last_pass_timestamp_seconds",
		"Time at which the last full check of I1 and I2 ended, in seconds since 1970; 0 before the first.", nil},
	{"conservation_pass_duration_seconds", "Duration of the last full check, including its pauses.", nil},
	{"conservation_pools",
		"Pools, and places that phases have of sessions, by how the last check counted them: exact, or bounded if sales " +
			"continued meanwhile.", []string{"check"}},
	{"conservation_unsteady_ledgers", "Ledgers that the last check skipped because they kept changing.", nil},
	{"reload_successful",
		"1 if the files could be read when they were last read: keys, certificates or sale files; 0 if the former ones " +
			"stay in force.",
		[]string{"files"}},
	{"reload_last_success_timestamp_seconds",
		"Time at which the files in force were read, in seconds since 1970.", []string{"files"}},
}

// describe returns the descriptions of all families by name.
func describe() map[string]*prometheus.Desc {
	all := map[string]*prometheus.Desc{}
	for _, f := range families {
		all[f.name] = prometheus.NewDesc("seathold_"+f.name, f.help, f.labels, nil)
	}
	return all
}
