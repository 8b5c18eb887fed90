package recon

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dchest/siphash"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

var update = flag.Bool("update", false, "write testdata anew")

// The vectors are made by second, slower implementations of what a reader of
// testdata/README.md would write, not by the code that they test.

type keyVector struct {
	Name    string   `json:"name"`
	Salts   []string `json:"salts"`
	ID      string   `json:"id"`
	Short   string   `json:"short"`
	Check   string   `json:"check"`
	Symbols []uint32 `json:"symbols"` // that hold it, of the first 32760
}

type stepVector struct {
	From uint32  `json:"from"`
	U    string  `json:"u"`
	Next *uint32 `json:"next"` // null: not below 32760
}

type differenceVector struct {
	Name    string   `json:"name"`
	Salts   []string `json:"salts"`
	Theirs  []string `json:"theirs"`
	Ours    []string `json:"ours"`
	Symbols []string `json:"symbols"` // of theirs, as on the wire
	Enough  int      `json:"enough"`  // of them, to find the difference
	Lacking []string `json:"lacking"` // short ids that only theirs has
	Extra   []string `json:"extra"`   // short ids that only ours has
}

type vectorFile[V any] struct {
	About   string `json:"about"`
	Vectors []V    `json:"vectors"`
}

// vectors writes or checks one file.
func vectors[V any](t *testing.T, name, about string, list []V) {
	want, err := json.MarshalIndent(vectorFile[V]{about, list}, "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s is out of date: go test ./overlay/recon -run Vectors -update", path)
}

func referenceKey(a, b Salt) (words [4]uint64) {
	if binary.BigEndian.Uint64(a[:]) > binary.BigEndian.Uint64(b[:]) {
		a, b = b, a
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "grapevine/recon/1%s%s", a[:], b[:]))
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return words
}

func referenceWalk(check uint64, end uint32) []uint32 {
	list := []uint32{0}
	for state := check; ; {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		z ^= z >> 31
		j := reference(list[len(list)-1], z>>32+1, end)
		if j == none {
			return list
		}
		list = append(list, j)
	}
}

func referenceShort(key [4]uint64, id wire.TxID) (short, check uint64) {
	short = siphash.Hash(key[0], key[1], id[:])
	return short, siphash.Hash(key[2], key[3], binary.LittleEndian.AppendUint64(nil, short))
}

func referenceSymbols(key [4]uint64, ids []wire.TxID, n int) [][SymbolSize]byte {
	symbols := make([][SymbolSize]byte, n)
	for _, id := range ids {
		short, check := referenceShort(key, id)
		piece := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, short), uint32(check))
		for _, i := range referenceWalk(check, uint32(n)) {
			for j, b := range piece {
				symbols[i][j] ^= b
			}
			symbols[i][12]++
		}
	}
	return symbols
}

func word(w uint64) string   { return fmt.Sprintf("%016x", w) }
func salt(s Salt) string     { return hex.EncodeToString(s[:]) }
func hashed(n int) wire.TxID { return sha256.Sum256(fmt.Appendf(nil, "transaction %d", n)) }

var vectorSalts = [][2]Salt{
	{{}, {}},
	{{1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2, 1}},
	{{8, 7, 6, 5, 4, 3, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8}},
	{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0, 0, 0, 0, 1}},
}

// R60: short ids and the symbols that hold them, by another implementation.
func TestVectorsOfKeys(t *testing.T) {
	var list []keyVector
	for i, salts := range vectorSalts {
		for j, id := range []wire.TxID{{}, hashed(i)} {
			key := referenceKey(salts[0], salts[1])
			short, check := referenceShort(key, id)
			v := keyVector{
				Name:  fmt.Sprintf("salts %d, id %d", i, j),
				Salts: []string{salt(salts[0]), salt(salts[1])}, ID: id.String(),
				Short: word(short), Check: word(check), Symbols: referenceWalk(check, MaxSymbols),
			}
			list = append(list, v)

			k := NewKey(salts[0], salts[1])
			require.Equal(t, Short(short), k.Short(id), v.Name)
			require.Equal(t, check, k.check(Short(short)), v.Name)
			w, got := newWalk(check), []uint32(nil)
			for at := uint32(0); at != none; at = w.next(MaxSymbols) {
				got = append(got, at)
			}
			require.Equal(t, v.Symbols, got, v.Name)
		}
	}
	vectors(t, "keys", "salts and an id in; short id, check sum and the symbols that hold it out", list)
}

func TestVectorsOfSteps(t *testing.T) {
	var list []stepVector
	for _, from := range []uint32{0, 1, 2, 3, 10, 100, 255, 1000, 10_000, 32_758, 32_759} {
		for _, u := range []uint64{1, 2, 12345, 1 << 16, 1 << 20, 1 << 28, 1 << 30, 1546188227, 1546188226, 1<<32 - 1, 1 << 32} {
			v := stepVector{From: from, U: fmt.Sprint(u)}
			if j := reference(from, u, MaxSymbols); j != none {
				v.Next = &j
			}
			got := step(from, u, MaxSymbols)
			require.Equal(t, reference(from, u, MaxSymbols), got)
			list = append(list, v)
		}
	}
	vectors(t, "steps", "from one symbol to the next that holds a short id", list)
}

// R60: symbols on the wire, and what they decode to.
func TestVectorsOfDifferences(t *testing.T) {
	var list []differenceVector
	for i, c := range []struct{ shared, theirs, ours int }{{0, 0, 0}, {3, 0, 0}, {0, 1, 0}, {5, 0, 1}, {20, 4, 5}, {300, 15, 0}, {50, 20, 25}} {
		salts := vectorSalts[i%len(vectorSalts)]
		key := referenceKey(salts[0], salts[1])
		v := differenceVector{
			Name:  fmt.Sprintf("%d shared, %d theirs, %d ours", c.shared, c.theirs, c.ours),
			Salts: []string{salt(salts[0]), salt(salts[1])},
		}
		var theirs, ours []wire.TxID
		var lacking, extra []uint64
		for n := range c.shared + c.theirs + c.ours {
			id := hashed(1000*i + n)
			short, _ := referenceShort(key, id)
			if n < c.shared+c.theirs {
				theirs = append(theirs, id)
				v.Theirs = append(v.Theirs, id.String())
			}
			if n < c.shared || n >= c.shared+c.theirs {
				ours = append(ours, id)
				v.Ours = append(v.Ours, id.String())
			}
			switch {
			case n < c.shared:
			case n < c.shared+c.theirs:
				lacking = append(lacking, short)
			default:
				extra = append(extra, short)
			}
		}
		slices.Sort(lacking)
		slices.Sort(extra)
		for _, s := range lacking {
			v.Lacking = append(v.Lacking, word(s))
		}
		for _, s := range extra {
			v.Extra = append(v.Extra, word(s))
		}
		v.Enough = checkDifference(t, salts, theirs, ours, lacking, extra)
		for _, s := range referenceSymbols(key, theirs, v.Enough) {
			v.Symbols = append(v.Symbols, hex.EncodeToString(s[:]))
		}
		list = append(list, v)
	}
	vectors(t, "differences", "two sets in; symbols of the one, and what differs, out", list)
}

// checkDifference has the code that is tested find the difference, and says how
// many symbols it took.
func checkDifference(t *testing.T, salts [2]Salt, theirs, ours []wire.TxID, lacking, extra []uint64) (enough int) {
	key := NewKey(salts[0], salts[1])
	a, b := NewSketch(key), NewSketch(key)
	for _, id := range theirs {
		a.Add(id)
	}
	for _, id := range ours {
		b.Add(id)
	}
	p := NewPeeler(key)
	for done := false; !done; enough++ {
		var err error
		done, err = p.Add(a.Symbols()[enough:enough+1], b.Symbols()[enough:enough+1])
		require.NoError(t, err)
	}
	same := func(want []uint64, got []Short) {
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, Short(want[i]), got[i])
		}
	}
	same(lacking, p.Difference().Theirs)
	same(extra, p.Difference().Ours)
	frame := Encode(nil, Symbols{Symbols: a.Symbols()[:enough]})[3:]
	for i, s := range referenceSymbols(referenceKey(salts[0], salts[1]), theirs, enough) {
		require.Equal(t, s[:], frame[i*SymbolSize:(i+1)*SymbolSize])
	}
	return enough
}

// TestVectorsOfSipHash is the last example of the SipHash paper.
func TestVectorsOfSipHash(t *testing.T) {
	message := make([]byte, 15)
	for i := range message {
		message[i] = byte(i)
	}
	require.Equal(t, uint64(0xa129ca6149be45e5), siphash.Hash(0x0706050403020100, 0x0f0e0d0c0b0a0908, message))
}
