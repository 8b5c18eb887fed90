package compact_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
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
