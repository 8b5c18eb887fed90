package overlay

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naivePen is a pen too simple to be wrong: it counts anew each time.
type naivePen struct {
	bounds penBounds
	items  []naiveItem // oldest first
}

type naiveItem struct {
	from peer.ID
	size int
	what int
}

func (n *naivePen) of(from peer.ID) (u usage) {
	for _, i := range n.items {
		if i.from == from {
			u.items++
			u.bytes += i.size
		}
	}
	return u
}

func (n *naivePen) bytes() (sum int) {
	for _, i := range n.items {
		sum += i.size
	}
	return sum
}

func (n *naivePen) put(from peer.ID, size, what int) (lost []peer.ID) {
	if u := n.of(from); u.items+1 > n.bounds.peerItems || u.bytes+size > n.bounds.peerBytes {
		return []peer.ID{from}
	}
	n.items = append(n.items, naiveItem{from, size, what})
	for len(n.items) > n.bounds.items || n.bytes() > n.bounds.bytes {
		share := func(i int) int { // of what there is too much of
			if u := n.of(n.items[i].from); len(n.items) <= n.bounds.items {
				return u.bytes
			} else {
				return u.items
			}
		}
		worst := len(n.items) - 1 // the newest item of who holds most
		for i := len(n.items) - 1; i >= 0; i-- {
			if share(i) > share(worst) {
				worst = i
			}
		}
		lost = append(lost, n.items[worst].from)
		n.items = slices.Delete(n.items, worst, worst+1)
	}
	return lost
}

// R44: what waits is bounded in all and per peer; who holds most loses first, and nobody
// loses for a peer that holds as much.
func TestPenAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := penBounds{
			items: rapid.IntRange(1, 8).Draw(t, "items"), bytes: rapid.IntRange(1, 60).Draw(t, "bytes"),
			peerItems: rapid.IntRange(1, 6).Draw(t, "per peer"), peerBytes: rapid.IntRange(1, 40).Draw(t, "bytes per peer"),
		}
		p, naive := newPen[int](bounds), &naivePen{bounds: bounds}
		peers := []peer.ID{"a", "b", "c", "d"}
		serial := 0
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				from, size := rapid.SampledFrom(peers).Draw(t, "from"), rapid.IntRange(1, 30).Draw(t, "size")
				before := make(map[peer.ID]usage)
				for _, o := range peers {
					before[o] = naive.of(o)
				}
				serial++
				lost := naive.put(from, size, serial)
				require.Equal(t, lost, p.put(from, size, serial))
				newest := len(naive.items) > 0 && naive.items[len(naive.items)-1].what == serial
				require.Equal(t, newest, !slices.Contains(lost, from), "who loses that sends, loses this one")
				for _, o := range peers {
					lost := naive.of(o).items < before[o].items
					if lost && o != from && before[o].bytes <= before[from].bytes && before[o].items <= before[from].items {
						t.Fatalf("%s with %v lost to %s with %v", o, before[o], from, before[from])
					}
				}
			},
			"remove": func(t *rapid.T) {
				third := rapid.IntRange(0, 2).Draw(t, "third")
				var want []int
				naive.items = slices.DeleteFunc(naive.items, func(i naiveItem) bool {
					if i.what%3 == third {
						want = append(want, i.what)
						return true
					}
					return false
				})
				var got []int
				for _, i := range p.remove(func(i penned[int]) bool { return i.what%3 == third }) {
					got = append(got, i.what)
				}
				require.Equal(t, want, got)
			},
			"drop": func(t *rapid.T) {
				at := uint64(rapid.IntRange(0, serial+1).Draw(t, "serial"))
				item, ok := p.at(at)
				if ok {
					what := item.what
					naive.items = slices.DeleteFunc(naive.items, func(i naiveItem) bool { return i.what == what })
				}
				p.drop(at)
			},
			"": func(t *rapid.T) {
				require.Len(t, p.items, len(naive.items))
				for i, item := range p.items {
					require.Equal(t, naive.items[i], naiveItem{item.from, item.size, item.what})
				}
				require.Equal(t, naive.bytes(), p.bytes)
				for _, o := range peers {
					require.Equal(t, naive.of(o), p.use[o])
				}
			},
		})
	})
}

// Who has filled all places with little things does not push out a few large ones.
func TestPenCountsWhatIsShort(t *testing.T) {
	p := newPen[int](penBounds{items: 8, bytes: 1000, peerItems: 4, peerBytes: 500})
	for i := range 8 {
		require.Empty(t, p.put(peer.ID([]string{"a", "b"}[i%2]), 1, i))
	}
	require.Equal(t, []peer.ID{"b"}, p.put("honest", 100, 8))
	require.Equal(t, []peer.ID{"a"}, p.put("honest", 100, 9))
	require.Equal(t, []peer.ID{"a"}, p.put("a", 1, 10), "it would hold most again")
	require.Equal(t, map[peer.ID]usage{"a": {3, 3}, "b": {3, 3}, "honest": {2, 200}}, p.use)

	p = newPen[int](penBounds{items: 100, bytes: 1000, peerItems: 100, peerBytes: 900})
	require.Empty(t, p.put("heavy", 900, 0))
	for i := range 50 {
		require.Empty(t, p.put("many", 2, i))
	}
	require.Equal(t, []peer.ID{"heavy"}, p.put("many", 2, 50), "it is bytes that are short")
	require.Equal(t, map[peer.ID]usage{"many": {51, 102}}, p.use)
}
