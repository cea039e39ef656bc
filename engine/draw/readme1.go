package draw

// The texts of format 1.

const readmeAccounts = `# Draw %s

This directory holds all of the draw %s for the access slots of the phase %s: who was entered, the public randomness that
decided, and what came out. You can recompute it with any language that has SHA-256, HMAC and a sort.

| file | content |
| --- | --- |
| entries.csv | every entry, account and priority group, sorted by the bytes of the account |
| draw.json | what was fixed before registration closed, the beacon, and the values computed from both |
| result.csv | every entry by rank, with its slot; entries beyond all places have none |
| SHA256SUMS | digests of the files above and of this one: sha256sum -c SHA256SUMS |

`

const readmeAccountsSteps = `## How to recompute it

HEX in a command stands for hexadecimal digits. All texts are ASCII; there is no quoting and no escaping in the CSV files, and
every line ends with one line feed.

### 1. Entries to root

Sort the accounts by their bytes (LC_ALL=C sort). Each entry is a leaf: the account, the byte 0x1f, the group (nothing if
it has none). Hash them into the Merkle tree of RFC 6962, section 2.1:

- hash of a leaf: SHA-256 of the byte 0x00 and the leaf;
- hash of n > 1 leaves: SHA-256 of the byte 0x01, the hash of the first k leaves and the hash of the others, where k is the
  largest power of two below n;
- hash of no leaf: SHA-256 of nothing.

The hash of all leaves is "root" in draw.json. It was published when registration closed. Compare it with that publication:
this is what rules out that entries were added, altered or removed afterwards.

    printf '\000%s\037%s' ACCOUNT GROUP | openssl dgst -sha256

### 2. Beacon to randomness

"round" is the one that the definition of the draw names. It was due at genesis + (round - 1) * period_seconds, which is
"round_at"; unless "stand_in" is true, that is after registration closed. Fetch it from any relay of the drand network and
compare, for example https://api.drand.sh/CHAIN_HASH/public/ROUND.

` + readmeBeacon + `### 3. Seed

"seed" is the SHA-256 of the 32 bytes of the root followed by the 32 bytes of the randomness.

### 4. Ranks

For each account compute HMAC-SHA256 with the 32 bytes of the seed as key and the account as message. In ascending order of
these values, compared as bytes, the entries have the ranks 1, 2, 3 and so on. Should two values be equal, the account that
sorts first is first.

    printf %s ACCOUNT | openssl dgst -sha256 -mac HMAC -macopt hexkey:HEX

### 5. Slots

` + readmeSlots + `A line of result.csv has rank, account, group, the HMAC in hexadecimal digits, slot, its opening and closing, and
whether it is a priority slot.
`
