package compact_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// answers is how a link answers whom it is asked by.
type answers struct {
	after time.Duration
	gives int // transactions of those that it is asked for
	// takesBack: it promises the rest, takes that back at once, and never says to have the block.
	takesBack bool
}

// asked plays a block of which a hundred transactions are missing, among links that answer so, and
// returns how long it took, or false where it was given up.
func (s *stage) asked(b validation.CheckedBlock, links []peerscore.PeerID, how func(peerscore.PeerID) answers) (took time.Duration, built bool) {
	began, read := s.at, len(s.seen)
	from := read
	s.open(links[0], b, b.Txs()[100:]...)
	for _, l := range links {
		s.open(l, b)
		if !how(l).takesBack {
			s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
		}
	}
	due := make(map[time.Time]func())
	for s.at.Sub(began) < 20*time.Second {
		asks := s.seen[read:]
		read = len(s.seen)
		for _, l := range links {
			for _, a := range only[*compact.Ask](asks, l) {
				at, before := s.at.Add(how(l).after), due[s.at.Add(how(l).after)]
				due[at] = func() {
					if before != nil {
						before()
					}
					part := *a
					part.Places = part.Places[:min(len(part.Places), how(l).gives)]
					f := answer(b, &part)
					f.More = how(l).takesBack
					s.receive(l, f)
					if f.More {
						s.receive(l, &compact.Fill{Block: b.ID(), ID: a.ID})
						return
					}
					s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
				}
			}
		}
		s.pass(5 * time.Millisecond)
		if answer := due[s.at]; answer != nil {
			answer()
		}
		switch seen := s.seen[from:]; {
		case len(kindOf[compact.Built](seen)) > 0:
			return s.at.Sub(began), true
		case len(kindOf[compact.GaveUp](seen)) > 0:
			return s.at.Sub(began), false
		}
	}
	return 0, false
}

// R124: a promise is taken back by whoever gives the block up, which is the fault of a producer that
// keeps bodies back. It ends what is asked of a peer over that block, and nothing more.
func TestAPromiseTakenBackIsNotLate(t *testing.T) {
	for name, test := range map[string]struct {
		whole bool // it says to have the block
		gives int  // with the end
		late  bool
	}{
		"with nothing":               {false, 0, false},
		"with a part":                {false, 1, true},
		"by who says to have it all": {true, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			for k := range 2 {
				b, _ := block(transactions(k<<20, 400, 250), nil)
				from := len(s.seen)
				s.open("a", b, b.Txs()[:390]...)
				s.pass(50 * time.Millisecond)
				asks := only[*compact.Ask](s.seen[from:], "a")
				require.Len(t, asks, 1)
				for range 2 { // said again, it is one promise
					s.receive("a", &compact.Fill{Block: b.ID(), ID: asks[0].ID, More: true})
				}
				if test.whole {
					s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
				}
				part := *asks[0]
				part.Places = part.Places[:test.gives]
				from = len(s.seen)
				s.receive("a", answer(b, &part))
				s.pass(50 * time.Millisecond)
				require.Empty(t, only[*compact.Ask](s.seen[from:], "a"), "it is asked no more")
				b2 := only[*compact.Ask](s.seen, "b")
				s.receive("b", answer(b, b2[len(b2)-1]))
				require.Len(t, s.built(), k+1)
			}
			require.Equal(t, test.late, len(s.AskedLast()) > 0)
			require.Equal(t, test.whole, len(kindOf[compact.Missed](s.seen)) > 0)
		})
	}
}

// R124: an answer that began with as much as a frame may hold leaves out what found no room, however
// small its end is, and though it is known by then that its sender has the whole.
func TestALargeAnswerWithASmallEndIsNotShort(t *testing.T) {
	s := newStage(t, none, "a")
	for k := range 2 {
		b, _ := block(transactions(k<<20, 1_600, 500), func(h *wire.HeaderBody) { h.ChunkRoot, h.ChunkData, h.ChunkParity = wire.Hash{}, 0, 0 })
		from := len(s.seen)
		s.open("a", b)
		s.pass(50 * time.Millisecond)
		asks := only[*compact.Ask](s.seen[from:], "a")
		require.Len(t, asks, 1)
		part, last, size := *asks[0], *asks[0], 0
		for i, tx := range b.Block().Txs {
			if size += tx.Size(); size > compact.MaxFill {
				part.Places = asks[0].Places[:i]
				break
			}
		}
		last.Places = last.Places[len(last.Places)-10:] // it did not have these
		first := answer(b, &part)
		first.More = true
		s.receive("a", first)
		s.receive("a", &compact.Have{Block: b.ID(), Whole: true}) // a short frame, and overtakes
		from = len(s.seen)
		s.receive("a", answer(b, &last))
		s.pass(50 * time.Millisecond)
		again := only[*compact.Ask](s.seen[from:], "a")
		require.Len(t, again, 1, "for what found no room")
		s.receive("a", answer(b, again[0]))
		require.Len(t, s.built(), k+1)
		s.pass(40 * time.Second)
	}
	require.Empty(t, kindOf[compact.Missed](s.seen))
	for _, x := range kindOf[compact.Settled](s.seen) {
		require.Zero(t, x.Unpaid, "%+v", x)
	}
}

// amongLiars is a stage with four honest links and as many near ones of liars, z00 and on.
func amongLiars(t *testing.T, liars int) (s *stage, links []peerscore.PeerID) {
	t.Helper()
	s, links = newStage(t, none, honestFour...), slices.Clone(honestFour)
	for i := range liars {
		links = append(links, peerscore.PeerID(fmt.Sprintf("z%02d", i)))
		require.NoError(t, s.SetLink(compact.Link{ID: links[len(links)-1], Mesh: true, RTT: 10 * time.Millisecond}))
	}
	return s, links
}

// R124: who answers at once, and with less than it was asked for, costs the first blocks some
// rounds, no block its body, and owes what it said to have.
func TestWhoGivesLittleIsAskedLast(t *testing.T) {
	for _, liars := range []int{2, 6, 24} {
		for _, gives := range []int{0, 1} {
			t.Run(fmt.Sprintf("%d that give %d", liars, gives), func(t *testing.T) {
				s, links := amongLiars(t, liars)
				how := func(l peerscore.PeerID) answers {
					if l[0] == 'z' {
						return answers{after: 10 * time.Millisecond, gives: gives}
					}
					return answers{after: 100 * time.Millisecond, gives: 1 << 20}
				}
				var took []time.Duration
				for k := range 5 {
					b, _ := block(transactions(k<<20, 4_000, 250), nil)
					d, built := s.asked(b, links, how)
					require.True(t, built, "block %d is given up", k)
					took = append(took, d)
					s.pass(40 * time.Second)
				}
				t.Log(took)
				require.Equal(t, 125*time.Millisecond, took[len(took)-1], "as without them")
				var list []compact.Account
				for _, l := range links {
					account := compact.Account{Link: l}
					for _, x := range kindOf[compact.Settled](s.seen) {
						if x.Link == l {
							account.Add(x)
						}
					}
					if l[0] != 'z' {
						require.Zero(t, account.Unpaid, "%s", l)
					}
					list = append(list, account)
				}
				if liars == 2 { // of more, the median is one
					require.Equal(t, links[len(honestFour):], compact.Withholders(list))
				}
			})
		}
	}
}

// R124: who promises, and takes that back at once, is not known from an honest peer that gives a
// block up, and is asked first again. It costs a round of asking among the near, and no block.
func TestPromisesTakenBackCostNoBlock(t *testing.T) {
	const liars = 24
	s, links := amongLiars(t, liars)
	how := func(l peerscore.PeerID) answers {
		if l[0] == 'z' {
			return answers{after: 10 * time.Millisecond, takesBack: true}
		}
		return answers{after: 100 * time.Millisecond, gives: 1 << 20}
	}
	for k := range 5 {
		b, _ := block(transactions(k<<20, 4_000, 250), nil)
		took, built := s.asked(b, links, how)
		require.True(t, built, "block %d is given up", k)
		require.Less(t, took, 3*125*time.Millisecond, "of 125 ms without them")
		s.pass(40 * time.Second)
	}
	require.Empty(t, kindOf[compact.Missed](s.seen))
}
