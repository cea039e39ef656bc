package draw

import (
	"bytes"
	"crypto/sha256"
	"math/bits"
)

// The hash prefixes of RFC 6962, section 2.1. With them a leaf cannot be presented as a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// chunkLeaves is the number of leaves for which the tree keeps one hash. A proof hashes the leaves of its chunk again,
// which takes about 30 µs; in return the tree of four million leaves takes 1 MB instead of 256 MB. It is a power of
// two, so a chunk is a subtree of the RFC's tree.
const chunkLeaves = 256

// tree is an RFC 6962 Merkle tree over leaves that are stored elsewhere.
//
// The RFC splits n leaves at the largest power of two below n. This is equivalent to hashing each level in pairs and
// moving an unpaired last node up unchanged.
type tree struct {
	size   int
	levels [][]Digest // from the roots of the chunks up to the root
	leaves leafHasher
}

// leafHasher fills into with the hashes of the leaves from first on. It must be safe for concurrent use.
type leafHasher func(first int, into []Digest)

// newTree hashes all leaves. The tree keeps the leafHasher for its proofs.
func newTree(size int, leaves leafHasher) tree {
	if size == 0 {
		return tree{levels: [][]Digest{{sha256.Sum256(nil)}}, leaves: leaves}
	}
	chunks := make([]Digest, (size+chunkLeaves-1)/chunkLeaves)
	inParallel(len(chunks), 16, func() func(first, end int) {
		level := make([]Digest, chunkLeaves)
		return func(first, end int) {
			for chunk := first; chunk < end; chunk++ {
				count := min(chunkLeaves, size-chunk*chunkLeaves)
				leaves(chunk*chunkLeaves, level[:count])
				for count > 1 {
					count = len(parents(level[:count], level))
				}
				chunks[chunk] = level[0]
			}
		}
	})
	built := tree{size: size, levels: [][]Digest{chunks}, leaves: leaves}
	for level := chunks; len(level) > 1; {
		level = parents(level, make([]Digest, (len(level)+1)/2))
		built.levels = append(built.levels, level)
	}
	return built
}

// parents hashes a level into the level above and returns that. Both may share their memory.
func parents(level, into []Digest) []Digest {
	above := into[:(len(level)+1)/2]
	for i := range len(level) / 2 {
		above[i] = nodeHash(&level[2*i], &level[2*i+1])
	}
	if len(level)%2 == 1 {
		above[len(above)-1] = level[len(level)-1]
	}
	return above
}

func nodeHash(left, right *Digest) Digest {
	var node [1 + 2*sha256.Size]byte
	node[0] = nodePrefix
	copy(node[1:], left[:])
	copy(node[1+sha256.Size:], right[:])
	return sha256.Sum256(node[:])
}

func (t *tree) root() Digest { return t.levels[len(t.levels)-1][0] }

// path returns the audit path of RFC 6962, section 2.1.1, from the leaf's sibling upwards.
func (t *tree) path(leaf int) []Digest {
	path := make([]Digest, 0, bits.Len(uint(t.size)))
	// Below the chunks: hash the leaves of the chunk again.
	first := leaf - leaf%chunkLeaves
	level := make([]Digest, min(chunkLeaves, t.size-first))
	t.leaves(first, level)
	at := leaf - first
	for span := chunkLeaves; span > 1; span /= 2 {
		if sibling := at ^ 1; sibling < len(level) {
			path = append(path, level[sibling])
		}
		level, at = parents(level, level), at/2
	}
	// From the chunks upwards: the levels are kept.
	at = leaf / chunkLeaves
	for _, level := range t.levels {
		if sibling := at ^ 1; sibling < len(level) {
			path = append(path, level[sibling])
		}
		at /= 2
	}
	return path
}

// Proof is an inclusion proof: with it, the handle and the group, anyone can compute the root that was published.
type Proof struct {
	Leaf uint64   // position of the entry in the sorted order, from 0
	Size uint64   // how many entries were frozen
	Path []Digest // the siblings of the nodes from the leaf to the root, the lowest first
}

// Verify reports whether the proof leads from the entry to the root. The group is "" for an entry without one. The
// algorithm is that of RFC 9162, section 2.1.3.2. That the handle is an account's is shown by its salt: see [HandleOf].
func (p *Proof) Verify(root, handle Digest, group string) bool {
	return p.fits(group) && p.leadsTo(root, leafHash(&handle, group))
}

// VerifyAccount is Verify for entries of [FreezeAccounts].
func (p *Proof) VerifyAccount(root Digest, account, group string) bool {
	return p.fits(group) && IsName([]byte(account)) && p.leadsTo(root, accountLeafHash([]byte(account), group))
}

func (p *Proof) fits(group string) bool {
	return p.Leaf < p.Size && (group == "" || IsName([]byte(group)))
}

func (p *Proof) leadsTo(root, hash Digest) bool {
	at, last := p.Leaf, p.Size-1
	for i := range p.Path {
		if last == 0 {
			return false
		}
		if at%2 == 1 || at == last {
			hash = nodeHash(&p.Path[i], &hash)
			for at%2 == 0 && at != 0 {
				at, last = at/2, last/2
			}
		} else {
			hash = nodeHash(&hash, &p.Path[i])
		}
		at, last = at/2, last/2
	}
	return last == 0 && bytes.Equal(hash[:], root[:])
}
