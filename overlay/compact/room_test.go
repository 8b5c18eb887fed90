package compact_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// madeBy has a block made by a producer.
func madeBy(p byte) func(*wire.HeaderBody) {
	return func(h *wire.HeaderBody) { h.Producer = wire.Address{p} }
}

// trickled is a block of which somebody pushes chunks, one at a time.
type trickled struct {
	block  validation.CheckedBlock
	chunks []*compact.Chunk
}

func trickle(t *testing.T, n int, producer byte) trickled {
	b, coded := block(transactions(n<<16, 1_000, 250), madeBy(producer))
	return trickled{b, chunksOf(t, b, coded)}
}

// missingOne opens a block of another producer that lacks one transaction, and returns whether it
// has a place: who is asked for it gives it.
func missingOne(s *stage, producer byte, n int) (built bool) {
	b, _ := block(transactions(1<<24+n<<12, 400, 250), madeBy(producer))
	from := len(s.seen)
	s.open("a", b, b.Txs()[:399]...)
	s.pass(50 * time.Millisecond)
	for _, ask := range only[*compact.Ask](s.seen[from:], "a") {
		s.receive("a", answer(b, ask))
	}
	return len(kindOf[compact.Built](s.seen[from:])) == 1
}

// R190: a producer of every fourth slot, which signs one block or two for each and pushes one chunk
// of each every nine seconds, has no place that others need, however long it does so: neither to put
// blocks together nor to serve them.
func TestOneProducerTakesNoPlacesOfOthers(t *testing.T) {
	for _, twins := range []int{1, 2} {
		t.Run(fmt.Sprint(twins), func(t *testing.T) {
			s := newStage(t, none, "a", "b", "z")
			var theirs []trickled
			for slot := range 80 {
				switch {
				case slot%4 == 0:
					for range twins {
						x := trickle(t, len(theirs), 1)
						theirs = append(theirs, x)
						s.open("z", x.block)
					}
				default:
					require.True(t, missingOne(s, byte(2+slot%4), slot), "slot %d", slot)
				}
				if slot%9 == 8 {
					for i, x := range theirs[max(0, len(theirs)-40):] {
						if k := slot / 9; k < len(x.chunks) {
							s.receive("z", x.chunks[(k+i)%len(x.chunks)])
						}
					}
				}
				s.pass(time.Second)
			}
			require.Empty(t, kindOf[compact.Blame](s.seen), "chunks that prove")
		})
	}
}

// R190: three of four producers that trickle as fast as blocks have to come leave the fourth its place, and
// what it has in there stays: they displace each other.
func TestManyProducersTakeNoPlacesOfOthers(t *testing.T) {
	s := newStage(t, none, "a", "b", "z")
	var theirs []trickled
	for n := range 24 {
		x := trickle(t, n, byte(1+n%3))
		theirs = append(theirs, x)
		s.open("z", x.block)
	}
	ours, coded := block(transactions(1<<25, 1_000, 250), madeBy(9))
	from := len(s.seen)
	s.open("a", ours) // cold: it takes a while
	for n := range 12 {
		s.pass(500 * time.Millisecond)
		for _, x := range theirs {
			s.receive("z", x.chunks[n])
		}
		x := trickle(t, 100+n, byte(1+n%3))
		theirs = append(theirs, x)
		s.open("z", x.block)
	}
	for _, c := range chunksOf(t, ours, coded) {
		s.receive("a", c)
	}
	require.Len(t, kindOf[compact.Built](s.seen[from:]), 1)
	require.Equal(t, ours.ID(), kindOf[compact.Built](s.seen[from:])[0].Block)
	for _, gone := range kindOf[compact.GaveUp](s.seen[from:]) {
		require.NotEqual(t, ours.ID(), gone.Block)
	}
}

// R190: a block that is served gives way to four under way of one producer, and not to a fifth.
func TestServedBlocksAreNotCrowdedOut(t *testing.T) {
	s := newStage(t, none, "a", "b", "z")
	var served []wire.BlockID
	for n := range compact.DefaultConfig().Blocks {
		b, _ := block(transactions(n<<12, 30, 250), madeBy(2))
		s.open("a", b, b.Txs()...)
		served = append(served, b.ID())
	}
	for n := range 20 {
		s.open("z", trickle(t, n, 1).block)
	}
	given := 0
	for k, id := range served {
		for _, f := range only[*compact.Fill](s.receive("b", &compact.Ask{Block: id, ID: uint32(k + 1), Places: []uint32{0}}), "b") {
			given += len(f.Txs)
		}
	}
	require.Equal(t, 4, given)
	require.Len(t, kindOf[compact.GaveUp](s.seen), 16)
}

// The place that is taken is that of the block that came least far for its time, as long as it
// would be waited for.
func TestTheSlowestGoesFirst(t *testing.T) {
	s := newStage(t, none, "a", "b", "z")
	var theirs []trickled
	for n := range compact.DefaultConfig().Blocks {
		x := trickle(t, n, 1)
		theirs = append(theirs, x)
		s.open("z", x.block)
		s.pass(100 * time.Millisecond)
	}
	for n, x := range theirs {
		if n != 5 {
			s.receive("z", x.chunks[0])
		}
	}
	require.True(t, missingOne(s, 2, 0))
	gone := kindOf[compact.GaveUp](s.seen)
	require.Len(t, gone, 1)
	require.Equal(t, theirs[5].block.ID(), gone[0].Block)
	require.ErrorIs(t, gone[0].Why, compact.TooMany)
}

// R191: what comes of a block has to come at 16 KiB a second, ten seconds aside. The largest
// blocks come over lines of 0.6 Mbit/s all the same, and as many as there are places over 1 Mbit/s.
func TestTricklesAreGivenUp(t *testing.T) {
	last := func(every time.Duration) time.Duration {
		x := trickle(t, 0, 1)
		s := newStage(t, none, "a", "z")
		s.open("z", x.block)
		for next := 0; len(kindOf[compact.GaveUp](s.seen)) == 0; {
			require.Less(t, s.at.Sub(start), time.Hour)
			s.pass(100 * time.Millisecond)
			if next < 14 && s.at.Sub(start) >= time.Duration(next+1)*every {
				s.receive("z", x.chunks[next])
				next++
			}
		}
		return s.at.Sub(start)
	}
	require.InDelta(t, 11, last(9*time.Second).Seconds(), 0.1, "one chunk")
	require.InDelta(t, 14, last(3*time.Second).Seconds(), 0.1, "four of them")
	require.InDelta(t, 22.6, last(900*time.Millisecond).Seconds(), 0.1, "in time, but that no more came")

	for name, c := range map[string]struct {
		blocks, txs int
		mbps        float64
	}{
		"4 MiB":         {1, 16_000, 0.62},
		"eight at once": {8, 2_000, 1.1},
		"128 KiB":       {1, 550, 0.13},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			var all []trickled
			for n := range c.blocks {
				b, coded := block(transactions(n<<16, c.txs, 250), madeBy(byte(n)))
				all = append(all, trickled{b, chunksOf(t, b, coded)})
				s.open("a", b)
			}
			for k := range all[0].chunks {
				for _, x := range all {
					s.receive("a", x.chunks[k])
					s.pass(time.Duration(float64(len(x.chunks[k].Data)*8) / c.mbps * float64(time.Microsecond)))
				}
			}
			require.Empty(t, kindOf[compact.GaveUp](s.seen))
			require.Len(t, s.built(), c.blocks)
			require.Empty(t, kindOf[compact.Blame](s.seen))
		})
	}
}

// pretend opens a block of which nothing seems to be missing: its list names what the pool has, and its tx_root is of others.
func pretend(s *stage, producer byte, n int) {
	b, _ := block(transactions(1<<20+n<<16, 1_000, 250), madeBy(producer))
	pool, _ := block(transactions(1<<26, 1_000, 250), nil)
	s.take(s.Open(s.at, "z", b.Header(), wire.Compact(pool.Block()).ShortIDs, slices.Values(pool.Txs())))
}

// R190: a block of which nothing is missing finds a place always, and one of which its header only
// pretends so has the places of its producer.
func TestPretendedBlocksTakeNoPlacesOfOthers(t *testing.T) {
	const pretended = 20
	s := newStage(t, none, "a", "b", "z")
	for n := range compact.DefaultConfig().Blocks {
		b, _ := block(transactions(n<<12, 400, 250), madeBy(byte(10+n)))
		s.open("a", b, b.Txs()[:399]...)
	}
	for n := range pretended {
		pretend(s, 1, n)
	}
	require.Len(t, kindOf[compact.GaveUp](s.seen), pretended, "all of these, and none of those that others need")

	s = newStage(t, none, "a", "b", "z")
	var served []wire.BlockID
	for n := range compact.DefaultConfig().Blocks {
		b, _ := block(transactions(n<<12, 30, 250), madeBy(2))
		s.open("a", b, b.Txs()...)
		served = append(served, b.ID())
	}
	for n := range pretended {
		pretend(s, 1, n)
	}
	given := 0
	for k, id := range served {
		for _, f := range only[*compact.Fill](s.receive("b", &compact.Ask{Block: id, ID: uint32(k + 1), Places: []uint32{0}}), "b") {
			given += len(f.Txs)
		}
	}
	require.Equal(t, compact.DefaultConfig().Blocks/2, given, "of those that are served half are left")
}
