package draw

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func sha(data ...[]byte) Digest { return sha256.Sum256(bytes.Join(data, nil)) }

// naiveRoot follows RFC 6962, section 2.1, literally.
func naiveRoot(leaves [][]byte) Digest {
	switch len(leaves) {
	case 0:
		return sha()
	case 1:
		return sha([]byte{0}, leaves[0])
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
	return sha([]byte{1}, left[:], right[:])
}

// naivePath follows RFC 6962, section 2.1.1, literally.
func naivePath(m int, leaves [][]byte) []Digest {
	if len(leaves) == 1 {
		return []Digest{}
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	if m < k {
		return append(naivePath(m, leaves[:k]), naiveRoot(leaves[k:]))
	}
	return append(naivePath(m-k, leaves[k:]), naiveRoot(leaves[:k]))
}

func treeOf(leaves [][]byte) tree {
	return newTree(len(leaves), func(first int, into []Digest) {
		for i := range into {
			into[i] = sha([]byte{leafPrefix}, leaves[first+i])
		}
	})
}

// The leaves and roots are those of Certificate Transparency's reference tests:
// certificate-transparency/cpp/merkletree/merkle_tree_test.cc.
func TestCertificateTransparencyVectors(t *testing.T) {
	var leaves [][]byte
	for _, leaf := range []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
		"606162636465666768696a6b6c6d6e6f"} {
		data, err := hex.DecodeString(leaf)
		require.NoError(t, err)
		leaves = append(leaves, data)
	}
	for size, root := range []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		built := treeOf(leaves[:size])
		require.Equal(t, root, built.root().String(), "%d leaves", size)
	}
	built := treeOf(leaves)
	require.Equal(t, []string{
		"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	}, texts(built.path(5)))
}

func texts(path []Digest) []string {
	all := make([]string, len(path))
	for i := range path {
		all[i] = path[i].String()
	}
	return all
}

// Roots and proofs equal those of the RFC's recursion for sizes around the boundaries of chunks and levels.
func TestTreeEqualsTheRecursion(t *testing.T) {
	leaves := make([][]byte, 4*chunkLeaves+3)
	for i := range leaves {
		leaves[i] = fmt.Appendf(nil, "leaf %d", i)
	}
	sizes := []int{chunkLeaves - 1, chunkLeaves, chunkLeaves + 1, 2*chunkLeaves - 1, 2 * chunkLeaves, 2*chunkLeaves + 1,
		3 * chunkLeaves, 3*chunkLeaves + 130, 4*chunkLeaves + 1, 4*chunkLeaves + 3}
	for size := 1; size <= 40; size++ {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		built, root := treeOf(leaves[:size]), naiveRoot(leaves[:size])
		require.Equal(t, root, built.root(), "%d leaves", size)
		step := 1 + size/60
		for leaf := 0; leaf < size; leaf += step {
			path := built.path(leaf)
			require.Equal(t, naivePath(leaf, leaves[:size]), path, "leaf %d of %d", leaf, size)
			proof := Proof{Leaf: uint64(leaf), Size: uint64(size), Path: path}
			checkProof(t, proof, root, sha([]byte{leafPrefix}, leaves[leaf]))
		}
	}
}

// checkProof requires a proof to verify, and not to verify after any of its parts has changed.
func checkProof(t *testing.T, proof Proof, root, leaf Digest) {
	require.True(t, proof.leadsTo(root, leaf))
	wrong := root
	wrong[0] ^= 1
	require.False(t, proof.leadsTo(wrong, leaf))
	wrong = leaf
	wrong[31] ^= 1
	require.False(t, proof.leadsTo(root, wrong))
	for i := range proof.Path {
		proof.Path[i][7] ^= 1
		require.False(t, proof.leadsTo(root, leaf), "node %d of the path", i)
		proof.Path[i][7] ^= 1
	}
	longer := proof
	longer.Path = append(longer.Path[:len(longer.Path):len(longer.Path)], root)
	require.False(t, longer.leadsTo(root, leaf))
	if len(proof.Path) > 0 {
		shorter := proof
		shorter.Path = proof.Path[:len(proof.Path)-1]
		require.False(t, shorter.leadsTo(root, leaf))
		moved := proof
		moved.Leaf ^= 1
		if moved.Leaf < moved.Size {
			require.False(t, moved.leadsTo(root, leaf))
		}
	}
}
