package recon

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// oneWalk is more symbols than any one short id is in.
const oneWalk = 100

func numbered(n uint64) (id wire.TxID) {
	binary.LittleEndian.PutUint64(id[:], n)
	return id
}

// symbolsOf is the naive sketch: n symbols of the ids, made anew.
func symbolsOf(key Key, ids []uint64, n int) []Symbol {
	symbols := make([]Symbol, n)
	for _, id := range ids {
		s := key.Short(numbered(id))
		toggle(symbols, s, key.check(s), 1)
	}
	return symbols
}

// naive is the set difference.
func naive(key Key, theirs, ours []uint64) Difference {
	var d Difference
	for _, id := range theirs {
		if !slices.Contains(ours, id) {
			d.Theirs = append(d.Theirs, key.Short(numbered(id)))
		}
	}
	for _, id := range ours {
		if !slices.Contains(theirs, id) {
			d.Ours = append(d.Ours, key.Short(numbered(id)))
		}
	}
	slices.Sort(d.Theirs)
	slices.Sort(d.Ours)
	return d
}

// TestPeelerAgainstNaive gives sets of any sizes, in chunks of any sizes, and
// compares what comes out with the set difference.
func TestPeelerAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := func(name string) []uint64 {
			return rapid.SliceOfNDistinct(rapid.Uint64Range(0, 300), 0, 120, rapid.ID[uint64]).Draw(t, name)
		}
		theirs, ours := set("theirs"), set("ours")
		key := NewKey(Salt{rapid.Byte().Draw(t, "salt")}, Salt{})
		const most = 3000
		a, b := symbolsOf(key, theirs, most), symbolsOf(key, ours, most)
		p := NewPeeler(key)
		done := false
		for !done {
			from := p.Len()
			to := from + max(8, from/16) + rapid.IntRange(0, 60).Draw(t, "chunk")
			if to > most {
				t.Fatalf("no difference from %d symbols", from)
			}
			var err error
			if done, err = p.Add(a[from:to], b[from:to]); err != nil {
				t.Fatal(err)
			}
		}
		require.Equal(t, naive(key, theirs, ours), p.Difference())
	})
}

// TestSketchAgainstNaive changes a set at random and compares the sketch kept
// with one made anew.
func TestSketchAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := NewKey(Salt{1}, Salt{rapid.Byte().Draw(t, "salt")})
		s := NewSketch(key)
		var set []uint64
		for range rapid.IntRange(0, 200).Draw(t, "changes") {
			id := rapid.Uint64Range(0, 40).Draw(t, "id")
			if i := slices.Index(set, id); i >= 0 {
				set = slices.Delete(set, i, i+1)
				s.Remove(numbered(id))
			} else {
				set = append(set, id)
				s.Add(numbered(id))
			}
		}
		require.Equal(t, len(set), s.Size())
		require.Equal(t, symbolsOf(key, set, Live), s.Symbols())
	})
}

// TestCollision is two ids with one short id: where one side has both, no
// difference comes out, and that is all that happens. The next session has
// another key.
func TestCollision(t *testing.T) {
	key := NewKey(Salt{1}, Salt{2})
	theirs := make([]Symbol, 400)
	for range 2 {
		toggle(theirs, 7, key.check(7), 1)
	}
	toggle(theirs, 8, key.check(8), 1)
	p := NewPeeler(key)
	done, err := p.Add(theirs, make([]Symbol, len(theirs)))
	require.NoError(t, err)
	require.False(t, done)
	require.Equal(t, []Short{8}, p.Difference().Theirs, "the others are found")
}

// TestBadSketches gives symbols that no honest side sends. None makes the
// peeler fail otherwise than it says, or exceed its bounds.
func TestBadSketches(t *testing.T) {
	key := NewKey(Salt{1}, Salt{2})
	rng := rand.New(rand.NewPCG(3, 4))
	pure := func(s Short) Symbol {
		return Symbol{Sum: uint64(s), Check: uint32(key.check(s)), Count: 1}
	}
	const n = MaxSymbols
	for name, make := range map[string]func(i int) Symbol{
		"random": func(int) Symbol {
			return Symbol{rng.Uint64(), rng.Uint32(), uint8(rng.Uint32())}
		},
		"random, all alone":      func(int) Symbol { return Symbol{rng.Uint64(), rng.Uint32(), 1} },
		"one id everywhere":      func(int) Symbol { return pure(5) },
		"another id everywhere":  func(i int) Symbol { return pure(Short(i)) },
		"random ids everywhere":  func(int) Symbol { return pure(Short(rng.Uint64())) },
		"two ids by turns":       func(i int) Symbol { return pure(Short(i % 2)) },
		"nothing but the counts": func(i int) Symbol { return Symbol{Count: uint8(i)} },
		"zero but for the last": func(i int) Symbol {
			if i == n-1 {
				return Symbol{Sum: 1}
			}
			return Symbol{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			symbols := slices.Collect(func(yield func(Symbol) bool) {
				for i := range n {
					if !yield(make(i)) {
						return
					}
				}
			})
			p := NewPeeler(key)
			zero := slices.Repeat([]Symbol{{}}, n)
			done, err := false, error(nil)
			for p.Len() < n && !done && err == nil {
				from := p.Len()
				to := min(n, from+max(30, from/16))
				done, err = p.Add(symbols[from:to], zero[from:to])
			}
			// A difference may come out; it is then as false as its maker.
			t.Logf("done %v, %v, %d found, %.1f looks for each of %d symbols", done, err, len(p.found), float64(p.work)/float64(p.Len()), p.Len())
			require.LessOrEqual(t, len(p.found), p.Len())
			require.LessOrEqual(t, p.work, workPerSymbol*p.Len()+oneWalk)
			require.LessOrEqual(t, cap(p.queue), 32*p.Len()+1024)
			if err != nil {
				var fault Fault
				require.ErrorAs(t, err, &fault)
				require.False(t, fault.Proven())
				_, again := p.Add(symbols[:1], zero[:1])
				require.Equal(t, err, again)
			}
		})
	}
	p := NewPeeler(key)
	_, err := p.Add(make([]Symbol, 2), make([]Symbol, 1))
	require.Error(t, err, "a mistake of the caller")
	_, err = p.Add(make([]Symbol, MaxSymbols+1), make([]Symbol, MaxSymbols+1))
	require.Error(t, err, "a mistake of the caller")
}

// FuzzPeel is any symbols, in two parts.
func FuzzPeel(f *testing.F) {
	key := NewKey(Salt{1}, Salt{2})
	encode := func(symbols []Symbol) []byte { return Encode(nil, Symbols{Symbols: symbols})[3:] }
	f.Add(encode(symbolsOf(key, []uint64{1}, 5)), uint16(2))
	f.Add(encode(symbolsOf(key, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 60)), uint16(9))
	f.Add(encode(slices.Repeat([]Symbol{{Sum: 5, Check: uint32(key.check(5)), Count: 1}}, 50)), uint16(25))
	f.Fuzz(func(t *testing.T, b []byte, split uint16) {
		r := &reader{rest: b[:len(b)/SymbolSize*SymbolSize]}
		if len(r.rest) == 0 || len(r.rest) > MaxChunk*SymbolSize {
			return
		}
		symbols := r.symbols()
		at := int(split) % (len(symbols) + 1)
		p := NewPeeler(key)
		for _, part := range [][]Symbol{symbols[:at], symbols[at:]} {
			done, err := p.Add(part, make([]Symbol, len(part)))
			if p.work > workPerSymbol*p.Len()+oneWalk || len(p.found) > p.Len() {
				t.Fatalf("%d looks and %d findings for %d symbols", p.work, len(p.found), p.Len())
			}
			if err != nil {
				return
			}
			if !done {
				continue
			}
			// What comes out must be what went in.
			again := make([]Symbol, p.Len())
			for _, g := range p.found {
				toggle(again, g.short, g.check, g.sign)
			}
			require.Equal(t, symbols[:p.Len()], again)
		}
	})
}
