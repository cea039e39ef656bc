package draw

import (
	"bufio"
	"fmt"
)

// writeReadme writes README.md for a reader who has only the exported directory. Its text is part of each format of an
// export: Verify compares every byte, so it cannot be reworded.
func (r *Result) writeReadme(w *bufio.Writer) {
	head, steps := readme, readmeSteps
	if !r.entries.sealed() {
		head, steps = readmeAccounts, readmeAccountsSteps
	}
	fmt.Fprintf(w, head, r.Terms.Draw, r.Terms.Draw, r.Terms.Phase)
	if r.Terms.StandIn {
		w.WriteString(readmeStandIn)
	}
	w.WriteString(steps)
}

const readme = `# Draw %s

This directory holds all of the draw %s for the access slots of the phase %s: the entries, the public randomness that
decided, and the result. You can recompute it with any language that has SHA-256, HMAC and a sort.

| file | content |
| --- | --- |
| entries.csv | every entry, sorted by the bytes of its handle: handle, priority group, weight |
| terms.json | what was fixed before registration closed |
| draw.json | when the entries were frozen, the beacon, and the values computed from both |
| result.csv | every entry by rank, with its slot; entries beyond all places have none |
| SHA256SUMS | digests of the files above and of this one: sha256sum -c SHA256SUMS |

A handle stands for an account. Nobody can see from it which account it is, except the account's owner and the organiser.

`

const readmeSteps = `## What this directory shows, and what it does not

It shows that the result follows from the entries and the beacon, and from nothing else. It does not show when the root of the
entries was published. An organiser who knows the beacon before he fixes the entries can choose the winner. "frozen_at" in
draw.json is the organiser's own statement. Evidence is a copy of "root" that you, or somebody you trust, received from the
organiser before "round_at". Compare it with "root" here.

## How to find your own entry

Ask the organiser's server for your entry: GET /v1/draws/DRAW/entries/ACCOUNT. The answer has your salt and your handle. Only you
should know the salt: with it anyone can see that the handle is yours. The handle is the SHA-256 of the letter e, the 32 bytes of
the salt, and the account:

    { printf e; printf SALT | xxd -r -p; printf %s ACCOUNT; } | openssl dgst -sha256

Your handle must be in entries.csv, in your priority group, and in result.csv with your rank and slot.

## How to recompute it

HEX in a command stands for hexadecimal digits. All texts are ASCII; there is no quoting and no escaping in the CSV files, and
every line ends with one line feed.

### 1. Entries to root

Sort the handles by their bytes (LC_ALL=C sort). Each entry is a leaf: the 32 bytes of the handle, the weight as one byte, the
group (nothing if it has none). Hash them into the Merkle tree of RFC 6962, section 2.1:

- hash of a leaf: SHA-256 of the byte 0x00 and the leaf;
- hash of n > 1 leaves: SHA-256 of the byte 0x01, the hash of the first k leaves and the hash of the others, where k is the
  largest power of two below n;
- hash of no leaf: SHA-256 of nothing.

The hash of all leaves is "root" in draw.json.

    { printf '\000'; printf HANDLE | xxd -r -p; printf '\001%s' GROUP; } | openssl dgst -sha256

### 2. Terms

"terms" in draw.json is the SHA-256 of terms.json. It was published with the root. "secret_commitment" is the SHA-256 of the
secret from which the salts are computed. An auditor to whom the organiser shows the secret and the accounts can compute every
handle: the salt is the HMAC-SHA256 with the secret as key and the account as message. So no account can have two entries.

### 3. Beacon to randomness

"round" in terms.json is the round that the definition of the draw names. A round is due at genesis + (round - 1) *
period_seconds. Unless "stand_in" is true, that is at least publish_within_seconds after registration closed.

"postponed" in draw.json lists the later rounds that replaced it, each named before the one that it replaced was due and at least
publish_within_seconds before it was due itself. The last one is "round" in draw.json, which decides. Fetch it from any relay of
the drand network and compare, for example https://api.drand.sh/CHAIN_HASH/public/ROUND. "frozen_at" is before its "round_at",
unless "stand_in" is true. The members ending in _machine are the same instants by the clock of the server's machine; the others
are by the clock of the sale, which a simulation can set.

` + readmeBeacon + `### 4. Seed

"seed" is the SHA-256 of the 32 bytes of the root followed by the 32 bytes of the randomness.

### 5. Ranks

An entry of weight w has w tickets, numbered from 0 to w - 1. For each ticket compute HMAC-SHA256 with the 32 bytes of the seed as
key, and as message the 32 bytes of the handle followed by the number of the ticket as one byte. The least of them, compared as
bytes, is the entry's value. In ascending order of these values the entries have the ranks 1, 2, 3 and so on. Should two values
be equal, the handle that sorts first is first.

    { printf HANDLE | xxd -r -p; printf '\000'; } | openssl dgst -sha256 -mac HMAC -macopt hexkey:HEX

### 6. Slots

` + readmeSlots + `A line of result.csv has rank, handle, group, weight, the value in hexadecimal digits, slot, its opening and closing, and
whether it is a priority slot.
`

// The paragraphs that both formats have.

const readmeStandIn = `## A stand-in decided this draw

The deciding round was already known when this draw was defined. The draw shows how the method works. It does not show
that nobody could foresee the result.

`

const readmeBeacon = `"randomness" is the SHA-256 of the bytes of "signature":

    printf HEX | xxd -r -p | openssl dgst -sha256

"signature" is a BLS signature (scheme bls-unchained-g1-rfc9380: signatures on G1 of BLS12-381, hashed to the curve under
BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_) under "public_key" of the message SHA-256(round as 8 bytes, big-endian).
Every drand client can verify it. That "public_key" is the chain's, and not made up for this draw, is to be seen at
https://api.drand.sh/CHAIN_HASH/info.

`

const readmeSlots = `Slot k = 0, 1, 2 ... opens at phase_opens_at + k * slot_step_seconds and closes slot_length_seconds later. The slots are
those that close at phase_closes_at or before. Each has slot_places places. Priority slots are those that open before
phase_opens_at + priority_days * 24 hours.

Go through the entries in the order of their ranks. A member of priority_group gets the next free place of the priority slots
while there is one. Everyone else, and members after that, get the next free place of the slots after the priority slots, while
there is one.

`
