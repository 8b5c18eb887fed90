package compact_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// settledOf lets the block be forgotten and gives what a link owed over it.
func (s *stage) settledOf(link peerscore.PeerID) compact.Settled {
	s.pass(time.Minute)
	for _, x := range kindOf[compact.Settled](s.seen) {
		if x.Link == link {
			return x
		}
	}
	return compact.Settled{}
}

// R100: an Ask is answered, however late. What comes when the block was had from others
// counts as well as what came in time.
func TestDebtsOfAnswers(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	for name, c := range map[string]struct {
		answer       func(s *stage, a *compact.Ask)
		owed, unpaid int
	}{
		"at once": {func(s *stage, a *compact.Ask) { s.receive("a", answer(b, a)) }, 1, 0},
		"nothing": {func(*stage, *compact.Ask) {}, 1, 1},
		"it has nothing, and says so": {func(s *stage, a *compact.Ask) {
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID})
		}, 1, 0},
		"nothing from one who says to have it": {func(s *stage, a *compact.Ask) {
			s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID})
		}, 1, 1},
		"20 s late": {func(s *stage, a *compact.Ask) {
			s.pass(20 * time.Second)
			s.receive("a", answer(b, a))
		}, 1, 0},
		"a promise that is void": {func(s *stage, a *compact.Ask) {
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID, More: true})
		}, 1, 0},
		"a promise of one who says to have it": {func(s *stage, a *compact.Ask) {
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID, More: true})
			s.pass(time.Second)
			s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
		}, 1, 1},
		"a promise that is kept": {func(s *stage, a *compact.Ask) {
			s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID, More: true})
			s.pass(15 * time.Second)
			s.receive("a", answer(b, a))
		}, 1, 0},
		"its stream broke": {func(s *stage, _ *compact.Ask) { s.Excuse(s.at, "a") }, 0, 0},
		"it went":          {func(s *stage, _ *compact.Ask) { s.take(s.DropLink(s.at, "a")) }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			s.open("a", b, b.Txs()[:28]...)
			asks := only[*compact.Ask](s.pass(50*time.Millisecond), "a")
			require.Len(t, asks, 1)
			s.receive("b", &compact.Have{Block: b.ID(), Whole: true})
			c.answer(s, asks[0])
			s.take(s.Arrived(s.at, b.ID(), b.Block().Txs))
			got := s.settledOf("a")
			require.Equal(t, []int{c.owed, c.unpaid}, []int{got.Owed, got.Unpaid})
			require.Empty(t, kindOf[compact.Blame](s.seen))
		})
	}
}

// R100: a promise that was given for a block that never came has to be taken back.
func TestDebtsOfABlockThatNeverComes(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a", "b", "c")
	s.open("a", b, b.Txs()[:28]...)
	promise := func(l peerscore.PeerID) (asked *compact.Ask) {
		for _, a := range only[*compact.Ask](s.seen, l) {
			asked = a
			s.receive(l, &compact.Fill{Block: b.ID(), ID: a.ID, More: true})
		}
		return asked
	}
	s.pass(50 * time.Millisecond)
	require.NotNil(t, promise("a"))
	toB, toC := promise("b"), promise("c")
	s.pass(12 * time.Second)
	require.NotEmpty(t, kindOf[compact.GaveUp](s.seen))
	for l, a := range map[peerscore.PeerID]*compact.Ask{"b": toB, "c": toC} {
		if a != nil {
			s.receive(l, &compact.Fill{Block: b.ID(), ID: a.ID})
		}
	}
	require.Equal(t, 1, s.settledOf("a").Unpaid)
	require.Zero(t, s.settledOf("b").Unpaid)
	require.Zero(t, s.settledOf("c").Unpaid)
}

// R100: chunks that a link says are on their way, or has and is asked for, come.
func TestDebtsOfChunks(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	s := newStage(t, none, "a", "b")
	s.open("a", b)
	s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
	wanted := only[*compact.Want](s.seen, "a")[0].Chunks
	require.Equal(t, 4, wanted.Count())
	coming := &compact.Have{Block: b.ID(), Coming: true}
	coming.Chunks.Set(0)
	coming.Chunks.Set(1)
	s.receive("b", coming)
	s.receive("b", chunks[0])
	s.take(s.Arrived(s.at, b.ID(), b.Block().Txs))
	s.pass(20 * time.Second)
	s.receiveFirst("a", chunks, wanted)
	require.Equal(t, compact.Settled{Link: "a", Block: b.ID(), Owed: 4, Unpaid: 3}, s.settledOf("a"))
	require.Equal(t, compact.Settled{Link: "b", Block: b.ID(), Owed: 2, Unpaid: 1}, s.settledOf("b"))
}

// receiveFirst has a link send the first of the chunks that it was asked for.
func (s *stage) receiveFirst(link peerscore.PeerID, chunks []*compact.Chunk, wanted compact.Bitmap) {
	for i, c := range chunks {
		if wanted.Has(i) {
			late := *c
			late.Pushed, late.Onward = false, false
			s.receive(link, &late)
			return
		}
	}
}

// flurry has so many whole blocks come from b.
func (s *stage) flurry(blocks int) {
	for k := range blocks {
		next, _ := block(transactions(1_000+k, 1, 250), nil)
		s.open("b", next, next.Txs()...)
	}
}

// R100: where other blocks make one forgotten soon, what was asked for is owed all the same, and
// for as long as ever.
func TestDebtsOutliveAFlurryOfBlocks(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	most := compact.DefaultConfig().Blocks
	for name, c := range map[string]struct {
		meanwhile    func(s *stage, a *compact.Ask)
		owed, unpaid int
	}{
		"forgotten at once":  {func(s *stage, _ *compact.Ask) { s.flurry(most) }, 1, 1},
		"forgotten when due": {func(s *stage, _ *compact.Ask) { s.pass(6 * time.Second); s.flurry(most) }, 1, 1},
		"answered late": {func(s *stage, a *compact.Ask) {
			s.flurry(most)
			s.pass(4 * time.Second)
			s.receive("a", answer(b, a))
		}, 1, 0},
		"nothing, which others forgot as well": {func(s *stage, a *compact.Ask) {
			s.flurry(most)
			s.receive("a", &compact.Fill{Block: b.ID(), ID: a.ID})
		}, 1, 0},
		"its stream broke": {func(s *stage, _ *compact.Ask) { s.flurry(most); s.Excuse(s.at, "a") }, 0, 0},
		"it went":          {func(s *stage, _ *compact.Ask) { s.flurry(most); s.take(s.DropLink(s.at, "a")) }, 0, 0},
		"it comes again":   {func(s *stage, _ *compact.Ask) { s.flurry(most); s.open("b", b, b.Txs()...) }, 0, 0},
		"too many since": {func(s *stage, _ *compact.Ask) {
			for k := range most + 32 {
				next, _ := block(transactions(2_000+2*k, 2, 250), nil)
				s.open("b", next, next.Txs()[:1]...)
				s.pass(50 * time.Millisecond)
				s.take(s.Arrived(s.at, next.ID(), next.Block().Txs))
			}
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			s.open("a", b, b.Txs()[:28]...)
			asks := only[*compact.Ask](s.pass(50*time.Millisecond), "a")
			require.Len(t, asks, 1)
			s.take(s.Arrived(s.at, b.ID(), b.Block().Txs))
			s.pass(100 * time.Millisecond)
			c.meanwhile(s, asks[0])
			got := s.settledOf("a")
			require.Equal(t, []int{c.owed, c.unpaid}, []int{got.Owed, got.Unpaid})
			require.Empty(t, kindOf[compact.Blame](s.seen))
		})
	}
}

// R100: so are chunks.
func TestDebtsOfChunksOutliveAFlurryOfBlocks(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	s := newStage(t, none, "a", "b")
	s.open("a", b)
	s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
	wanted := only[*compact.Want](s.seen, "a")[0].Chunks
	s.take(s.Arrived(s.at, b.ID(), b.Block().Txs))
	s.flurry(compact.DefaultConfig().Blocks)
	s.receiveFirst("a", chunks, wanted)
	require.Equal(t, compact.Settled{Link: "a", Block: b.ID(), Owed: 4, Unpaid: 3}, s.settledOf("a"))
}

// A link is excused now and then, not each time.
func TestExcusesAreRare(t *testing.T) {
	s := newStage(t, none, "a")
	for k, want := range []int{0, 1} {
		b, _ := block(transactions(1_000*k, 30, 250), nil)
		s.seen = nil
		s.open("a", b)
		s.pass(100 * time.Millisecond)
		require.NotEmpty(t, only[*compact.Ask](s.seen, "a"))
		s.Excuse(s.at, "a")
		require.Equal(t, want, s.settledOf("a").Unpaid)
	}
}

func TestWithholders(t *testing.T) {
	good := func(l peerscore.PeerID) compact.Account { return compact.Account{Link: l, Owed: 20} }
	bad := func(l peerscore.PeerID) compact.Account {
		return compact.Account{Link: l, Owed: 9, Unpaid: 5, Blocks: 2}
	}
	for name, c := range map[string]struct {
		accounts []compact.Account
		want     []peerscore.PeerID
	}{
		"nobody":              {nil, nil},
		"all give":            {[]compact.Account{good("a"), good("b"), good("c"), good("d")}, nil},
		"one does not":        {[]compact.Account{good("a"), bad("b"), good("c"), good("d")}, []peerscore.PeerID{"b"}},
		"it is we":            {[]compact.Account{bad("a"), bad("b"), bad("c"), good("d")}, nil},
		"half: nobody knows":  {[]compact.Account{bad("a"), bad("b"), good("c"), good("d")}, nil},
		"too few to compare":  {[]compact.Account{good("a"), bad("b"), good("c")}, nil},
		"asked too little":    {[]compact.Account{{Link: "a", Owed: 2, Unpaid: 2, Blocks: 2}, good("b"), good("c"), good("d"), good("e")}, nil},
		"one block is no sin": {[]compact.Account{{Link: "a", Owed: 9, Unpaid: 9, Blocks: 1}, good("b"), good("c"), good("d")}, nil},
		"a little is nobody's": {
			[]compact.Account{{Link: "a", Owed: 40, Unpaid: 6, Blocks: 3}, good("b"), good("c"), good("d")}, nil,
		},
		"strangers to the matter do not count": {
			[]compact.Account{good("a"), bad("b"), {Link: "x"}, {Link: "y"}, {Link: "z"}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, compact.Withholders(c.accounts)) })
	}
}

// TestLawOurOwnLine: whatever the shares, nobody is charged where most links keep back:
// it is our own line then, or we stood still.
func TestLawOurOwnLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		accounts := make([]compact.Account, rng.IntN(30))
		for i := range accounts {
			owed := 20 + rng.IntN(50)
			accounts[i] = compact.Account{
				Link: peerscore.PeerID(fmt.Sprint(i)), Owed: owed, Unpaid: owed/15 + 1 + rng.IntN(owed/2), Blocks: 1 + rng.IntN(9),
			}
		}
		require.Empty(t, compact.Withholders(accounts))
	})
}

// TestAgedAccounts: what is old is forgotten, and never makes anybody look worse.
func TestAgedAccounts(t *testing.T) {
	a := compact.Account{Owed: 9, Unpaid: 3, Blocks: 3}
	for range 4 {
		a.Age()
		require.LessOrEqual(t, a.Unpaid, a.Owed)
		require.LessOrEqual(t, a.Blocks, a.Unpaid)
	}
	require.Equal(t, compact.Account{}, a)
}

// TestLawSlowIsNotWithholding: an honest peer on a line of a second both ways, or of a
// megabit, owes nothing in the end, whatever the network and the block; those who keep
// back everything do. A node whose own line is a megabit may have asked for more
// than fits through it before it counts, but however often that happens it calls nobody a
// withholder who is none.
func TestLawSlowIsNotWithholding(t *testing.T) {
	const narrow = 1e6 / 8
	const full = 5609656972362524503 // a node here once blamed its neighbours for its own full line
	half := figure{name: "half", txs: 2_000, lacks: 0.05, known: trusting}
	cold := figure{name: "cold", txs: 2_000, lacks: 1, known: truth, silent: 0.15}
	random := seed(t)
	for _, c := range []struct {
		figure
		seed uint64
	}{{half, random}, {cold, random}, {cold, full}} {
		f, s := c.figure, c.seed
		t.Run(f.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(s, 3))
			w := f.world(s, 20)
			for k, n := range w.nodes {
				if k == 0 || rng.IntN(3) > 0 {
					continue
				}
				if rng.IntN(2) == 0 {
					n.rate = narrow
				}
				for _, l := range n.links {
					l.latency, l.back.latency = 500*time.Millisecond, 500*time.Millisecond
				}
			}
			f.start(w, s, time.Minute)
			require.NotEmpty(t, w.owed)
			silent := make(map[peerscore.PeerID]bool)
			for _, n := range w.nodes {
				silent[n.id] = n.silent
			}
			withheld := 0
			books := make(map[*simNode][]compact.Account)
			for _, x := range w.owed {
				switch {
				case silent[x.Link]:
					withheld += x.Unpaid
				case x.by.rate > narrow:
					require.Zero(t, x.Unpaid, "%s says that %s kept back %d of %d", x.by.id, x.Link, x.Unpaid, x.Owed)
				}
				a := compact.Account{Link: x.Link}
				for range 4 {
					a.Add(x.Settled)
				}
				books[x.by] = append(books[x.by], a)
			}
			for by, accounts := range books {
				for _, id := range compact.Withholders(accounts) {
					require.True(t, silent[id], "%s calls %s a withholder", by.id, id)
				}
			}
			if f.silent > 0 && s == full { // elsewhere nobody may have asked who is silent, but over a full line
				require.Positive(t, withheld)
			}
		})
	}
}
