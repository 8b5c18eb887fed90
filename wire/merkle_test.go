package wire_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

type rootVector struct {
	Name string   `json:"name"`
	IDs  []string `json:"ids"`
	Root string   `json:"root"`
}

// numbered returns n ids that are not zero.
func numbered(n int) (ids []wire.TxID, raw [][]byte) {
	for i := range n {
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		ids, raw = append(ids, id), append(raw, id[:])
	}
	return ids, raw
}

func rootVectors() vectorFile[rootVector] {
	file := vectorFile[rootVector]{About: "tx_root: transaction ids in, Merkle root out"}
	add := func(name string, ids [][]byte) {
		v := rootVector{Name: name, IDs: []string{}, Root: hex.EncodeToString(referenceRoot(ids))}
		for _, id := range ids {
			v.IDs = append(v.IDs, hex.EncodeToString(id))
		}
		file.Vectors = append(file.Vectors, v)
	}
	_, ids := numbered(7)
	for n, name := range []string{"none", "one", "two", "three", "four", "five", "six", "seven"} {
		add(name, ids[:n])
	}
	add("three, the last one twice", [][]byte{ids[0], ids[1], ids[2], ids[2]})
	return file
}

// R8: RFC 6962 shape, separate domains.
func TestRootVectors(t *testing.T) {
	for _, v := range vectors(t, "tx_root", rootVectors()) {
		t.Run(v.Name, func(t *testing.T) {
			var ids []wire.TxID
			for _, s := range v.IDs {
				id, err := wire.ParseTxID(s)
				require.NoError(t, err)
				ids = append(ids, id)
			}
			require.Equal(t, v.Root, wire.TxRoot(ids).String())
		})
	}
}

// TestRootAgainstReference also shows that no prefix of a list, and no list
// with its last id repeated, has the root of another.
func TestRootAgainstReference(t *testing.T) {
	ids, raw := numbered(130)
	seen := make(map[wire.Hash]int)
	for n := range len(ids) + 1 {
		root := wire.TxRoot(ids[:n])
		require.Equal(t, referenceRoot(raw[:n]), root[:], "%d ids", n)
		require.NotContains(t, seen, root)
		seen[root] = n
		if n > 0 {
			repeated := append(append([]wire.TxID{}, ids[:n]...), ids[n-1])
			require.NotContains(t, seen, wire.TxRoot(repeated))
		}
	}
}

type shortIDVector struct {
	Name     string   `json:"name"`
	Salt     string   `json:"salt"`
	IDs      []string `json:"ids"`
	ShortIDs []string `json:"short_ids"`
	Hash     string   `json:"short_ids_hash"`
}

func shortIDVectors() vectorFile[shortIDVector] {
	file := vectorFile[shortIDVector]{About: "short ids: salt and transaction ids in, short ids and the hash that the header signs out"}
	add := func(name string, salt []byte, ids [][]byte) {
		v := shortIDVector{Name: name, Salt: hex.EncodeToString(salt), IDs: []string{}, ShortIDs: []string{}}
		list := []byte("grapevine/short-ids/1")
		for _, id := range ids {
			short := binary.LittleEndian.AppendUint64(nil, referenceSipHash(salt, id))[:6]
			list = append(list, short...)
			v.IDs = append(v.IDs, hex.EncodeToString(id))
			v.ShortIDs = append(v.ShortIDs, hex.EncodeToString(short))
		}
		sum := sha256.Sum256(list)
		v.Hash = hex.EncodeToString(sum[:])
		file.Vectors = append(file.Vectors, v)
	}
	_, ids := numbered(4)
	add("none", fill(1, 16), nil)
	add("the key of the SipHash paper", fill(0, 16), append(ids, fill(0, 32)))
	add("another salt, other ids", fill(7, 16), ids)
	add("salt of zeros", make([]byte, 16), ids[:1])
	return file
}

// R7: short ids, and the hash of their list.
func TestShortIDVectors(t *testing.T) {
	for _, v := range vectors(t, "short_ids", shortIDVectors()) {
		t.Run(v.Name, func(t *testing.T) {
			salt, err := hex.DecodeString(v.Salt)
			require.NoError(t, err)
			var ids []wire.TxID
			for _, s := range v.IDs {
				id, err := wire.ParseTxID(s)
				require.NoError(t, err)
				ids = append(ids, id)
			}
			short := wire.ShortIDs(wire.Salt(salt), ids)
			require.Len(t, short, len(v.ShortIDs))
			for i, id := range short {
				require.Equal(t, v.ShortIDs[i], id.String())
				require.Equal(t, id, wire.ShortIDOf(wire.Salt(salt), ids[i]))
			}
			require.Equal(t, v.Hash, wire.ShortIDsHash(short).String())
		})
	}
}

// TestSipHashReference holds the second implementation against the vector of
// the SipHash paper's reference code for 32 bytes 00, 01, … under that key.
func TestSipHashReference(t *testing.T) {
	require.Equal(t, uint64(0x7127512f72f27cce), referenceSipHash(fill(0, 16), fill(0, 32)))
}
