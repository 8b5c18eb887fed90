package compact_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

// TestWhoWasLateIsNotReliedOn: a link that did not send the chunks of one block in time is not
// given any that it alone is to spread.
func TestWhoWasLateIsNotReliedOn(t *testing.T) {
	s := newStage(t, none, "a", "b", "c", "d")
	theirs, _ := block(transactions(1<<20, 1_000, 250), nil)
	s.open("b", theirs)
	s.receive("a", &compact.Have{Block: theirs.ID(), Whole: true})
	require.Len(t, only[*compact.Want](s.seen, "a"), 1)
	s.pass(20 * time.Second)
	ours, coded := cold()
	out := s.take(s.Produce(s.at, ours, coded))
	require.Empty(t, only[*compact.Chunk](out, "a"))
	require.NotEmpty(t, only[*compact.Chunk](out, "b"))
}

// TestAllLateAreAskedAllTheSame: with no better link, the block is spread among those.
func TestAllLateAreAskedAllTheSame(t *testing.T) {
	s := newStage(t, none, "a", "b", "c")
	for k := range 3 {
		b, _ := block(transactions(k<<20, 1_000, 250), nil)
		s.open("a", b)
		for _, l := range []peerscore.PeerID{"a", "b", "c"} {
			s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
		}
		require.NotEmpty(t, only[*compact.Want](s.seen, "c"))
		s.pass(20 * time.Second)
	}
	b, coded := block(transactions(9<<20, 1_000, 250), nil)
	out := s.take(s.Produce(s.at, b, coded))
	for _, l := range []peerscore.PeerID{"a", "b", "c"} {
		require.NotEmpty(t, only[*compact.Chunk](out, l))
	}
}

// TestWhoAnsweredLateIsAskedLast: a link that does not answer in time is asked first no more,
// though it is the nearest and sent the header.
func TestWhoAnsweredLateIsAskedLast(t *testing.T) {
	s := newStage(t, none, "a", "b", "c", "d", "e")
	require.NoError(t, s.SetLink(compact.Link{ID: "e", Mesh: true, RTT: 10 * time.Millisecond, Window: 64 << 10}))
	others := []peerscore.PeerID{"a", "b", "c", "d"}
	for k := range 2 { // it owes two answers
		b, _ := block(transactions(k<<20, 400, 250), nil)
		from := len(s.seen)
		s.open("e", b, b.Txs()[:380]...)
		for answered := false; !answered; {
			s.pass(10 * time.Millisecond)
			for _, l := range others {
				for _, a := range only[*compact.Ask](s.seen[from:], l) {
					s.receive(l, answer(b, a))
					answered = true
				}
			}
		}
		require.Len(t, only[*compact.Ask](s.seen[from:], "e"), 1)
		s.pass(40 * time.Second)
	}
	b, _ := block(transactions(2<<20, 400, 250), nil)
	from := len(s.seen)
	s.open("e", b, b.Txs()[:380]...)
	s.pass(60 * time.Millisecond)
	require.Empty(t, only[*compact.Ask](s.seen[from:], "e"))
	asked := 0
	for _, l := range others {
		asked += len(only[*compact.Ask](s.seen[from:], l))
	}
	require.Equal(t, 1, asked)
}

// R140: who is asked last is asked nothing, and can neither mend nor be found
// out. So it is asked again after some blocks over which it owed nothing: seldom, and with each
// answer that it keeps back less often.
func TestWhoWasLateIsTriedAgain(t *testing.T) {
	s := newStage(t, none, "a", "b", "c", "d", "e")
	require.NoError(t, s.SetLink(compact.Link{ID: "e", Mesh: true, RTT: 10 * time.Millisecond, Window: 64 << 10}))
	asked := make([]int, 20)
	unpaid := 0
	for k := range asked {
		b, _ := block(transactions(k<<20, 400, 250), nil)
		from := len(s.seen)
		s.open("e", b, b.Txs()[:380]...)
		for answered := false; !answered; {
			s.pass(10 * time.Millisecond)
			for _, l := range []peerscore.PeerID{"a", "b", "c", "d"} {
				for _, a := range only[*compact.Ask](s.seen[from:], l) {
					s.receive(l, answer(b, a))
					answered = true
				}
			}
		}
		asked[k] = len(only[*compact.Ask](s.seen[from:], "e"))
		s.pass(40 * time.Second)
	}
	for _, x := range kindOf[compact.Settled](s.seen) {
		if x.Link == "e" {
			unpaid += x.Unpaid
		}
	}
	require.Equal(t, []int{1, 1, 0, 1, 0, 0, 0, 0, 1}, asked[:9])
	require.GreaterOrEqual(t, unpaid, 5)
	require.LessOrEqual(t, unpaid, 6)
}

// R186: a peer can make its round trip as long as it likes, and then keep back what it is asked
// for: others are asked as soon as a line of 600 ms would have answered.
func TestLongRoundTripsAreNotWaitedFor(t *testing.T) {
	for _, rtt := range []time.Duration{2 * time.Second, 9 * time.Second, time.Hour} {
		for missing, atMost := range map[int]time.Duration{1: 650 * time.Millisecond, 1_000: 800 * time.Millisecond} {
			s := newStage(t, none, "a", "b")
			require.NoError(t, s.SetLink(compact.Link{ID: "z", Mesh: true, RTT: rtt}))
			b, coded := block(transactions(0, 1_000, 250), nil)
			s.open("z", b, b.Txs()[missing:]...)
			s.receive("z", &compact.Have{Block: b.ID(), Whole: true})
			out := s.pass(50 * time.Millisecond)
			if missing == 1 {
				require.Len(t, only[*compact.Ask](out, "z"), 1)
				require.Empty(t, only[*compact.Ask](s.seen, "a"))
				out = s.pass(atMost)
				require.Len(t, append(only[*compact.Ask](out, "a"), only[*compact.Ask](out, "b")...), 1, "%v", rtt)
				continue
			}
			require.NotEmpty(t, only[*compact.Want](s.seen, "z"))
			out = s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
			chunks := chunksOf(t, b, coded)
			for wants := only[*compact.Want](out, "a"); len(wants) > 0; wants = only[*compact.Want](out, "a") {
				out = nil
				for _, c := range chunks {
					if wants[0].Chunks.Has(c.Index) {
						out = append(out, s.receive("a", &compact.Chunk{Block: c.Block, Index: c.Index, Data: c.Data, Proof: c.Proof})...)
					}
				}
			}
			require.Empty(t, s.built(), "z has its share to give")
			require.NotEmpty(t, only[*compact.Want](s.pass(atMost), "a"), "%v", rtt)
		}
	}
}

// collect has a cold block opened that the links given say to have, and returns how long it takes
// where each gives at once what it gives.
func (s *stage) collect(b validation.CheckedBlock, chunks []*compact.Chunk, links []peerscore.PeerID, gives func(link peerscore.PeerID, chunk int) bool) time.Duration {
	began, from := s.at, len(s.seen)
	s.open("a", b)
	for _, l := range links {
		s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
	}
	for read := from; len(kindOf[compact.Built](s.seen[from:])) == 0; {
		out := s.seen[read:]
		if read = len(s.seen); len(out) == 0 {
			s.pass(10 * time.Millisecond)
		}
		for _, l := range links {
			for _, w := range only[*compact.Want](out, l) {
				for _, c := range chunks {
					if w.Chunks.Has(c.Index) && gives(l, c.Index) {
						f := *c
						f.Pushed, f.Onward = false, false
						s.receive(l, &f)
					}
				}
			}
		}
		require.Less(s, s.at.Sub(began), 20*time.Second)
	}
	return s.at.Sub(began)
}

// nth is a block of a row, with its chunks.
func nth(t *testing.T, n, txs int) (validation.CheckedBlock, []*compact.Chunk) {
	b, coded := block(transactions(n<<16, txs, 250), nil)
	return b, chunksOf(t, b, coded)
}

var honestFour = []peerscore.PeerID{"a", "b", "c", "d"}

// R192: who says that chunks are on their way and sends none is believed once, and no longer than
// for a line of 200 ms, whatever its round trip is: no block after that waits.
func TestComingIsBelievedOfWhoKeepsIt(t *testing.T) {
	for name, c := range map[string]struct {
		rtt   time.Duration
		liars int
		first time.Duration // what the first block takes at most
	}{
		"a near one": {100 * time.Millisecond, 1, 330 * time.Millisecond},
		"four":       {100 * time.Millisecond, 4, 330 * time.Millisecond},
		"a far one":  {5 * time.Second, 1, 430 * time.Millisecond},
		"a crowd":    {5 * time.Second, 20, 430 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, honestFour...)
			var liars []peerscore.PeerID
			for i := range c.liars {
				liars = append(liars, peerscore.PeerID(fmt.Sprint("z", i)))
				require.NoError(t, s.SetLink(compact.Link{ID: liars[i], Mesh: true, RTT: c.rtt}))
			}
			for k := range 4 {
				b, chunks := nth(t, k, 4_200)
				s.open("z0", b)
				for i, l := range liars {
					var said compact.Bitmap
					for j := range 4 {
						said.Set((4*i + j) % len(chunks))
					}
					s.receive(l, &compact.Have{Block: b.ID(), Chunks: said, Coming: true})
				}
				took := s.collect(b, chunks, honestFour, func(peerscore.PeerID, int) bool { return true })
				if k == 0 {
					require.LessOrEqual(t, took, c.first)
				} else {
					require.Zero(t, took, "block %d", k)
				}
				s.pass(3 * time.Second)
			}
			require.Empty(t, kindOf[compact.Blame](s.seen))
			require.Empty(t, only[*compact.Ask](s.seen, "a"), "transactions beside chunks")
		})
	}
}

// R193: who keeps back one chunk of five, and gives the others at once, costs a wait with two blocks
// and not with each: it is asked for what the others are too busy for, and not waited for.
func TestWhoKeepsBackSomeOfEachBlockIsAskedLast(t *testing.T) {
	s := newStage(t, none, append(honestFour, "e")...)
	links := append([]peerscore.PeerID{"e"}, honestFour...)
	n, kept := 0, 0
	var took []time.Duration
	for k := range 8 {
		b, chunks := nth(t, k, 4_200)
		took = append(took, s.collect(b, chunks, links, func(l peerscore.PeerID, _ int) bool {
			if l != "e" {
				return true
			}
			if n++; n%5 == 0 {
				kept++
			}
			return n%5 != 0
		}))
		s.pass(2 * time.Second)
	}
	t.Log(took, kept)
	require.Positive(t, took[0])
	for _, d := range took[2:] {
		require.Zero(t, d)
	}
	require.Empty(t, kindOf[compact.Blame](s.seen))
}

// R193: a link that is late over one block of six is asked as others are, and nobody is asked last
// for a block over which more than half were late: then it was we.
func TestWhoIsLateNowAndThenIsAskedAsOthersAre(t *testing.T) {
	s := newStage(t, none, append(honestFour, "e")...)
	links := append([]peerscore.PeerID{"e"}, honestFour...)
	for k := range 24 {
		b, chunks := nth(t, k, 4_200)
		first := true
		s.collect(b, chunks, links, func(l peerscore.PeerID, _ int) bool {
			late := k%6 == 0 && l == "e" && first
			first = first && l != "e"
			return !late
		})
		s.pass(40 * time.Second)
	}
	require.Empty(t, s.AskedLast())

	for k := range 8 {
		b, chunks := nth(t, 100+k, 4_200)
		first := map[peerscore.PeerID]bool{}
		s.collect(b, chunks, links, func(l peerscore.PeerID, _ int) bool {
			late := l != "a" && !first[l]
			first[l] = true
			return !late
		})
		s.pass(40 * time.Second)
	}
	require.Empty(t, s.AskedLast())
}

// R193: cold blocks among honest nodes leave nobody that is asked last, and where every fifth node
// keeps back one part of two, it does nobody else harm: blocks come no later than the first did.
func TestHonestNodesAreNotAskedLast(t *testing.T) {
	for name, keeps := range map[string]int{"honest": 0, "a fifth gives half": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(30, 10, compact.DefaultConfig(), rand.New(rand.NewPCG(1, 1)), truth)
			stingy := map[peerscore.PeerID]bool{}
			for _, n := range w.nodes[1:7] {
				n.keeps = keeps
				stingy[n.id] = keeps > 0
			}
			var first time.Duration
			for k := range 5 {
				w.again()
				b, coded := block(transactions(k<<20, 2_100, 250), nil)
				for _, tx := range b.Txs() {
					w.nodes[0].has[tx.ID()] = true
				}
				w.run(b, coded, w.now+time.Hour)
				require.Equal(t, len(w.nodes)-1, w.built)
				if k == 0 {
					first = w.percentile(50)
				}
				t.Log(w.percentile(50), w.percentile(99), w.perPayload())
			}
			require.LessOrEqual(t, w.percentile(50), first)
			harmed, found := 0, 0
			for _, n := range w.nodes {
				for _, id := range n.m.AskedLast() {
					if stingy[id] {
						found++
					} else {
						harmed++
					}
				}
			}
			t.Log(harmed, found)
			require.Zero(t, harmed)
			require.Equal(t, keeps > 0, found > 0)
		})
	}
}
