package overlay

import (
	"cmp"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// naiveFair is a fairQueue too simple to be wrong: everything in one slice, oldest first.
// It does not know whose turn it is.
type naiveFair struct {
	bounds fairBounds
	items  []lost
}

func (n *naiveFair) of(p peer.ID) (count, size int) {
	for _, i := range n.items {
		if i.from == p {
			count++
			size += len(i.raw)
		}
	}
	return count, size
}

func (n *naiveFair) bytes() (size int) {
	for _, i := range n.items {
		size += len(i.raw)
	}
	return size
}

// drop removes the least valuable of p, the newest of equals.
func (n *naiveFair) drop(p peer.ID) lost {
	worst := -1
	for i, item := range n.items {
		if item.from == p && (worst < 0 || item.class <= n.items[worst].class) {
			worst = i
		}
	}
	gone := n.items[worst]
	n.items = slices.Delete(n.items, worst, worst+1)
	return gone
}

func (n *naiveFair) put(p peer.ID, m parcel) (gone []lost) {
	n.items = append(n.items, lost{p, m})
	for count, size := n.of(p); count > n.bounds.peerMessages || size > n.bounds.peerBytes; count, size = n.of(p) {
		gone = append(gone, n.drop(p))
	}
	for n.bytes() > n.bounds.allBytes {
		heavy := slices.MaxFunc(n.items, func(a, b lost) int {
			_, x := n.of(a.from)
			_, y := n.of(b.from)
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.from, b.from))
		})
		gone = append(gone, n.drop(heavy.from))
	}
	return gone
}

// take removes what is to be served of p: the most valuable, the oldest of equals.
func (n *naiveFair) take(p peer.ID) parcel {
	best := -1
	for i, item := range n.items {
		if item.from == p && (best < 0 || item.class > n.items[best].class) {
			best = i
		}
	}
	m := n.items[best].parcel
	n.items = slices.Delete(n.items, best, best+1)
	return m
}

func TestFairQueueAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := fairBounds{peerMessages: 4, peerBytes: 40, allBytes: 70}
		q, naive := newFairQueue(bounds), &naiveFair{bounds: bounds}
		serial := byte(0)
		peers := []peer.ID{"a", "b", "c"}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				p := rapid.SampledFrom(peers).Draw(t, "peer")
				serial++
				m := parcel{raw: make([]byte, rapid.IntRange(1, 20).Draw(t, "size")), class: rapid.SampledFrom([]int{0, 1, 7, 63, 64}).Draw(t, "class")}
				m.raw[0] = serial
				count, size := naive.of(p)
				heaviest := 0
				for _, o := range peers {
					_, held := naive.of(o)
					heaviest = max(heaviest, held)
				}
				full := count >= bounds.peerMessages || size+len(m.raw) > bounds.peerBytes ||
					naive.bytes()+len(m.raw) > bounds.allBytes && heaviest < size+2*len(m.raw)
				if q.full(p, len(m.raw)) != full {
					t.Fatalf("full is %v, want %v", !full, full)
				}
				got, want := q.put(p, m), naive.put(p, m)
				require.Equal(t, want, got)
				if !full {
					require.NotContains(t, got, lost{p, m})
					after, _ := naive.of(p)
					require.Equal(t, count+1, after, "whoever is told that there is room loses nothing for it")
				}
			},
			"next": func(t *rapid.T) {
				barred := rapid.SampledFrom(append(peers, "")).Draw(t, "barred")
				p, got, ok := q.next(func(p peer.ID) bool { return p != barred })
				if !ok {
					for _, item := range naive.items {
						require.Equal(t, barred, item.from, "nobody else waits")
					}
					return
				}
				require.NotEqual(t, barred, p)
				require.Equal(t, naive.take(p), got)
			},
			"forget": func(t *rapid.T) {
				p := rapid.SampledFrom(peers).Draw(t, "peer")
				q.forget(p)
				naive.items = slices.DeleteFunc(naive.items, func(i lost) bool { return i.from == p })
			},
			"": func(t *rapid.T) {
				require.Equal(t, naive.bytes(), q.bytes)
				waiting := 0
				for _, p := range peers {
					count, _ := naive.of(p)
					require.Equal(t, count, q.waits(p))
					if count > 0 {
						waiting++
					}
				}
				require.Len(t, q.ring, waiting)
				require.Len(t, q.lines, waiting)
			},
		})
	})
}

// Whoever always has something waiting is served as much as anybody, however many and
// however large messages the others have.
func TestFairQueueServesEqualShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newFairQueue(fairBounds{peerMessages: 1 << 20, peerBytes: 1 << 40, allBytes: 1 << 40})
		peers := []peer.ID{"many small", "few large", "mixed"}
		sizes := map[peer.ID][]int{"many small": {100}, "few large": {wire.MaxTx}, "mixed": {100, wire.MaxTx, 5000}}
		served := make(map[peer.ID]int)
		most := parcelCost + wire.MaxTx
		for i := range rapid.IntRange(100, 2000).Draw(t, "served") {
			for _, p := range peers {
				for q.waits(p) < 2 {
					q.put(p, parcel{raw: make([]byte, sizes[p][i%len(sizes[p])])})
				}
			}
			p, m, ok := q.next(func(peer.ID) bool { return true })
			require.True(t, ok)
			served[p] += m.cost()
			if least := min(served[peers[0]], served[peers[1]], served[peers[2]]); served[p]-least > 2*(most+fairQuantum) {
				t.Fatalf("%q had %d, another %d", p, served[p], least)
			}
		}
	})
}

func TestClassOfIsTheDoublingsOfTheFeePerByte(t *testing.T) {
	tx := func(fee uint64, payload int) []byte {
		body := &wire.TxBody{Version: 1, Sender: wire.Address{1}, Nonce: 1 << 40, Fee: fee, Payload: make([]byte, payload)}
		return wire.NewTransaction(body.AppendTo(nil), wire.Signature{}).Bytes()
	}
	for _, c := range []struct {
		perByte uint64
		class   int
	}{{0, 0}, {1, 1}, {2, 2}, {3, 2}, {4, 3}, {1000, 10}} {
		size := uint64(len(tx(c.perByte*170, 100))) // the fee's own length is in it
		require.Equal(t, c.class, classOf(tx(c.perByte*size, 100)), "%d per byte", c.perByte)
	}
	require.Less(t, classOf(tx(1<<20, 100_000)), classOf(tx(1<<20, 100)), "it is the fee per byte")
	require.Less(t, classOf(tx(1<<64-1, 1)), fairClasses)
	for _, garbage := range [][]byte{nil, {0xff}, {10, 200, 1}, {10, 2, 0x20, 0xff}, {10, 1, 0x23}} {
		require.Zero(t, classOf(garbage))
	}
}

func FuzzClassOf(f *testing.F) {
	f.Add([]byte{10, 2, 0x20, 0x7f})
	f.Add(protowire.AppendBytes([]byte{10}, protowire.AppendVarint([]byte{0x20}, 1<<64-1)))
	f.Fuzz(func(t *testing.T, tx []byte) {
		if c := classOf(tx); c < 0 || c >= fairClasses {
			t.Fatalf("class %d", c)
		}
	})
}
