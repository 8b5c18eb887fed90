package compact_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// stage is one machine whose links a test plays.
type stage struct {
	*testing.T
	*compact.Machine
	at   time.Time
	seen []compact.Action
}

// none knows nothing of any link.
var none = knows(func(peerscore.PeerID, wire.TxID) bool { return false })

func newStage(t *testing.T, known compact.Known, mesh ...peerscore.PeerID) *stage {
	m, err := compact.New(compact.DefaultConfig(), known, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	s := &stage{T: t, Machine: m, at: start}
	for _, id := range mesh {
		require.NoError(t, m.SetLink(compact.Link{ID: id, Mesh: true, RTT: 100 * time.Millisecond, Window: 64 << 10}))
	}
	return s
}

func (s *stage) take(actions []compact.Action) []compact.Action {
	s.seen = append(s.seen, actions...)
	return actions
}

// open begins a block of which known is known.
func (s *stage) open(from peerscore.PeerID, b validation.CheckedBlock, known ...validation.CheckedTx) []compact.Action {
	return s.take(s.Open(s.at, from, b.Header(), wire.Compact(b.Block()).ShortIDs, slices.Values(known)))
}

func (s *stage) receive(from peerscore.PeerID, f compact.Frame) []compact.Action {
	return s.take(s.Receive(s.at, from, f))
}

// pass lets time pass, with all that is due in it.
func (s *stage) pass(d time.Duration) (actions []compact.Action) {
	end := s.at.Add(d)
	for range 1_000 {
		at, ok := s.Next()
		if !ok || at.After(end) {
			s.at = end
			return actions
		}
		s.at = at
		actions = append(actions, s.take(s.Tick(at))...)
	}
	s.Fatal("time stands still")
	return nil
}

// only returns the frames of a kind that were sent to a link.
func only[F compact.Frame](actions []compact.Action, to peerscore.PeerID) (out []F) {
	for _, a := range actions {
		if send, ok := a.(compact.Send); ok && send.To == to {
			if f, ok := send.Frame.(F); ok {
				out = append(out, f)
			}
		}
	}
	return out
}

func kindOf[A compact.Action](actions []compact.Action) (out []A) {
	for _, a := range actions {
		if x, ok := a.(A); ok {
			out = append(out, x)
		}
	}
	return out
}

// blamed lists the links blamed so far and checks for what.
func (s *stage) blamed(why compact.Fault) (who []peerscore.PeerID) {
	for _, b := range kindOf[compact.Blame](s.seen) {
		require.ErrorIs(s, b.Why, why)
		who = append(who, b.Link)
	}
	return who
}

func (s *stage) built() []compact.Built { return kindOf[compact.Built](s.seen) }

// answer gives what an Ask asked for.
func answer(b validation.CheckedBlock, a *compact.Ask) *compact.Fill {
	f := &compact.Fill{Block: b.ID(), ID: a.ID, Places: a.Places, Proved: true}
	for _, i := range a.Places {
		f.Txs = append(f.Txs, b.Block().Txs[i].Bytes())
	}
	return f
}

func TestKnownBlockIsBuiltAtOnce(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a")
	out := s.open("a", b, b.Txs()...)
	require.Len(t, out, 1)
	built := out[0].(compact.Built)
	require.Equal(t, compact.AtOnce, built.How.Way)
	require.Equal(t, 30, built.How.Known)
	require.Equal(t, b.Txs()[7], built.Parts[7].Checked)
	require.Empty(t, s.open("b", b, b.Txs()...), "once")
	s.pass(time.Minute)
	_, ok := s.Next()
	require.False(t, ok, "forgotten")
}

func TestEmptyBlock(t *testing.T) {
	b, _ := block(nil, nil)
	s := newStage(t, none, "a")
	s.open("a", b)
	require.Len(t, s.built(), 1)
}

// TestOneRound: what is missing is asked of the sender of the header, after its fill had
// time to come.
func TestOneRound(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a", "b")
	out := s.open("a", b, b.Txs()[:28]...)
	require.Empty(t, only[*compact.Ask](out, "a"), "its fill may be on the way")
	asks := only[*compact.Ask](s.pass(50*time.Millisecond), "a")
	require.Len(t, asks, 1)
	require.Equal(t, []uint32{28, 29}, asks[0].Places)
	s.receive("a", answer(b, asks[0]))
	require.Len(t, s.built(), 1)
	require.Equal(t, compact.Rounds, s.built()[0].How.Way)
	require.Equal(t, 2, s.built()[0].How.Asked)
	require.Equal(t, []peerscore.PeerID{"a"}, s.built()[0].How.From)
}

func TestFillMakesAskingNeedless(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a")
	f := answer(b, &compact.Ask{Places: []uint32{28, 29}})
	require.Empty(t, s.receive("a", f), "it may overtake the header")
	s.open("a", b, b.Txs()[:28]...)
	require.Len(t, s.built(), 1)
	require.Equal(t, compact.AtOnce, s.built()[0].How.Way)
	require.Equal(t, 2, s.built()[0].How.Filled)
}

// TestProducerFills: exactly what a link is not known to have, what no link has first, and
// within its window.
func TestProducerFills(t *testing.T) {
	b, _ := block(transactions(0, 400, 250), nil)
	txs := b.Block().Txs
	place := map[wire.TxID]int{}
	for i, tx := range txs {
		place[tx.ID()] = i
	}
	s := newStage(t, knows(func(link peerscore.PeerID, id wire.TxID) bool {
		i := place[id]
		return i < 300 && (link == "b" || i >= 50) // the last hundred are known to none
	}), "a", "b")
	require.NoError(t, s.SetLink(compact.Link{ID: "c", Window: 1 << 20}))
	require.NoError(t, s.SetLink(compact.Link{ID: "a", Mesh: true, Window: 110 * 250}))
	out := s.take(s.Produce(s.at, b, nil))
	require.Len(t, out, 2, "the mesh alone")
	toB := only[*compact.Fill](out, "b")[0]
	require.Len(t, toB.Places, 100)
	require.Equal(t, uint32(300), toB.Places[0])
	toA := only[*compact.Fill](out, "a")[0]
	require.Subset(t, toA.Places, toB.Places, "what nobody has comes first")
	require.Greater(t, len(toA.Places), 105)
	require.LessOrEqual(t, len(toA.Places), 110)
	require.True(t, slices.IsSorted(toA.Places))
}

// R26: a wrong answer is the fault of who gave it, and others are asked.
func TestWrongAnswers(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	other := transactions(1_000, 2, 250)
	for name, c := range map[string]struct {
		change func(*compact.Fill)
		fault  compact.Fault
	}{
		"another transaction": {func(f *compact.Fill) { f.Txs[1] = other[0].Bytes() }, compact.WrongTx},
		"out of order":        {func(f *compact.Fill) { f.Txs[0], f.Txs[1] = f.Txs[1], f.Txs[0] }, compact.WrongTx},
		"garbage":             {func(f *compact.Fill) { f.Txs[0] = bytes.Repeat([]byte{1}, 80) }, compact.Garbage},
		"another place":       {func(f *compact.Fill) { f.Places = []uint32{27, 28} }, compact.Unasked},
		"beyond the block":    {func(f *compact.Fill) { f.Places = []uint32{28, 30} }, compact.Unasked},
		"never asked":         {func(f *compact.Fill) { f.ID += 1 }, compact.Unasked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			s.open("a", b, b.Txs()[:28]...)
			ask := only[*compact.Ask](s.pass(50*time.Millisecond), "a")[0]
			f := answer(b, ask)
			f.Places, f.Txs = slices.Clone(f.Places), slices.Clone(f.Txs)
			c.change(f)
			asks := only[*compact.Ask](s.receive("a", f), "b")
			require.Equal(t, []peerscore.PeerID{"a"}, s.blamed(c.fault))
			require.Len(t, asks, 1)
			s.receive("b", answer(b, asks[0]))
			require.Len(t, s.built(), 1)
			require.Empty(t, s.receive("a", f), "nothing more of it is heard")
		})
	}
}

// R11: who is slow, or has nothing, is not blamed.
func TestLateAndEmptyAnswers(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a", "b", "c")
	s.open("a", b, b.Txs()[:28]...)
	first := only[*compact.Ask](s.pass(50*time.Millisecond), "a")[0]
	s.receive("b", &compact.Have{Block: b.ID(), Whole: true})
	out := s.pass(250 * time.Millisecond)
	require.Equal(t, compact.Missed{Link: "a", Block: b.ID(), What: compact.Late}, kindOf[compact.Missed](out)[0])
	require.Len(t, only[*compact.Ask](out, "b"), 1, "others, in parallel")
	require.Len(t, only[*compact.Ask](out, "c"), 1)
	s.receive("b", &compact.Fill{Block: b.ID(), ID: only[*compact.Ask](out, "b")[0].ID})
	require.Contains(t, s.seen, compact.Missed{Link: "b", Block: b.ID(), What: compact.Empty}, "it had said to have it")
	s.receive("a", answer(b, first))
	require.Len(t, s.built(), 1, "late is better than never")
	require.Empty(t, kindOf[compact.Blame](s.seen))
}

// TestPromise: who lacks some itself gives what it has, and the rest when it has it.
func TestPromise(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a", "b")
	s.open("a", b, b.Txs()[:28]...)
	ask := &compact.Ask{Block: b.ID(), ID: 5, Places: []uint32{2, 3, 28}}
	got := only[*compact.Fill](s.receive("b", ask), "b")
	require.Len(t, got, 1)
	require.Equal(t, []uint32{2, 3}, got[0].Places)
	require.True(t, got[0].More)
	require.False(t, got[0].Proved)
	own := only[*compact.Ask](s.pass(50*time.Millisecond), "a")[0]
	got = only[*compact.Fill](s.receive("a", answer(b, own)), "b")
	require.Len(t, got, 1)
	require.Equal(t, []uint32{28}, got[0].Places)
	require.Equal(t, uint32(5), got[0].ID)
	require.False(t, got[0].More)
	require.True(t, got[0].Proved)
}

func TestNobodyGives(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a", "b", "c")
	s.open("a", b)
	s.receive("b", &compact.Ask{Block: b.ID(), ID: 9, Places: []uint32{1}})
	out := s.pass(20 * time.Second)
	gave := kindOf[compact.GaveUp](out)
	require.Len(t, gave, 1)
	require.ErrorIs(t, gave[0].Why, compact.Exhausted)
	require.Equal(t, &compact.Fill{Block: b.ID(), ID: 9}, only[*compact.Fill](out, "b")[0], "who waits for us is told")
	require.LessOrEqual(t, len(only[*compact.Ask](s.seen, "c")), compact.DefaultConfig().Rounds)

	// Sync brings it, and it is served.
	require.Empty(t, s.take(s.Arrived(s.at, b.ID(), b.Block().Txs)))
	require.Len(t, only[*compact.Fill](s.receive("b", &compact.Ask{Block: b.ID(), ID: 10, Places: []uint32{1}}), "b")[0].Txs, 1)
}

// TestGreed: nobody needs a transaction of a block more often than lines fail.
func TestGreed(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, none, "a")
	s.open("x", b, b.Txs()...)
	everything := &compact.Ask{Block: b.ID(), ID: 1}
	for i := range 30 {
		everything.Places = append(everything.Places, uint32(i))
	}
	for range compact.DefaultConfig().Served - 1 { // the fill was the first
		require.Len(t, only[*compact.Fill](s.receive("a", everything), "a"), 1)
	}
	require.Empty(t, only[*compact.Fill](s.receive("a", everything), "a"))
	require.Equal(t, []peerscore.PeerID{"a"}, s.blamed(compact.Greedy))
}

// TestBounds: blocks, links and what comes too early.
func TestBounds(t *testing.T) {
	s := newStage(t, none, "a")
	cfg := compact.DefaultConfig()
	for i := range cfg.Blocks {
		b, _ := block(transactions(i*100, 10, 250), nil)
		s.open("a", b)
	}
	b, _ := block(transactions(5_000, 10, 250), nil)
	gave := kindOf[compact.GaveUp](s.open("a", b))
	require.Len(t, gave, 1)
	require.ErrorIs(t, gave[0].Why, compact.TooMany)

	for i := range cfg.Links {
		err := s.SetLink(compact.Link{ID: peerscore.PeerID(rune('b' + i))})
		require.Equal(t, i == cfg.Links-1, err != nil)
	}
	tooMuch := &compact.Fill{Block: wire.BlockID{9}, ID: 1, Places: []uint32{0}, Txs: [][]byte{make([]byte, cfg.EarlyBytes)}}
	require.Empty(t, s.receive("a", tooMuch))
	require.Equal(t, []compact.Action{compact.Send{To: "stranger", Frame: &compact.Fill{Block: b.ID(), ID: 1}}},
		s.receive("stranger", &compact.Ask{Block: b.ID(), ID: 1, Places: []uint32{0}}), "who waits for nothing is told so")
	require.Empty(t, s.receive("stranger", &compact.Want{Block: b.ID()}))
	require.Empty(t, s.receive("a", &compact.Ask{Block: wire.BlockID{9}, ID: 3, Places: []uint32{0}}))
	require.Contains(t, s.pass(cfg.EarlyFor), compact.Send{To: "a", Frame: &compact.Fill{Block: wire.BlockID{9}, ID: 3}})
}

func TestConfig(t *testing.T) {
	_, err := compact.New(compact.Config{}, none, rand.New(rand.NewPCG(1, 1)))
	require.ErrorContains(t, err, "Rounds")
	require.ErrorContains(t, err, "Pipeline")
	_, err = compact.New(compact.DefaultConfig(), nil, nil)
	require.Error(t, err)
	require.False(t, errors.Is(err, compact.Garbage))
}

// TestPromisesOutliveRounds: who has asked as often as allowed still waits for what was
// promised.
func TestPromisesOutliveRounds(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	links := []peerscore.PeerID{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"}
	s := newStage(t, none, links...)
	s.open("a", b, b.Txs()[:20]...)
	var first *compact.Ask
	for out := s.pass(50 * time.Millisecond); len(out) > 0; {
		var next []compact.Action
		for _, l := range links {
			for _, ask := range only[*compact.Ask](out, l) {
				if l == "a" {
					first = ask
				}
				next = append(next, s.receive(l, &compact.Fill{Block: b.ID(), ID: ask.ID, More: true})...)
			}
		}
		out = next
	}
	s.pass(5 * time.Second)
	require.Empty(t, kindOf[compact.GaveUp](s.seen))
	s.receive("a", answer(b, first))
	require.Len(t, s.built(), 1)
	require.Equal(t, compact.DefaultConfig().Rounds, s.built()[0].How.Rounds)
}

// common is a Known in which no link is known to have anything, and others likely do.
type common struct{}

func (common) Known(peerscore.PeerID, wire.TxID) bool { return false }
func (common) Common(wire.TxID) bool                  { return true }

// TestCommonIsNotSent: what others likely have goes to nobody unasked, and who has a header is
// asked, however it became known.
func TestCommonIsNotSent(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	s := newStage(t, common{}, "a", "b")
	require.Empty(t, s.take(s.Produce(s.at, b, nil)))

	other, _ := block(transactions(100, 30, 250), nil)
	out := s.open("a", other, other.Txs()[:29]...)
	require.Empty(t, only[*compact.Fill](out, "b"))
	require.NotEmpty(t, only[*compact.Ask](s.pass(50*time.Millisecond), "a"))
	s.Heard("b", other.ID())
	s.Heard("nobody", other.ID())
	s.Heard("b", wire.BlockID{1})
	require.NotEmpty(t, only[*compact.Ask](s.take(s.DropLink(s.at, "a")), "b"))
}

// TestWholeBlocksFindRoom: blocks that nobody gives the bodies of take all places, and none of one
// that needs nothing.
func TestWholeBlocksFindRoom(t *testing.T) {
	besieged := func() *stage {
		s := newStage(t, none, "a", "b", "c")
		for k := range compact.DefaultConfig().Blocks {
			b, _ := block(transactions(k<<20, 10, 250), func(h *wire.HeaderBody) { h.Height = uint64(100 + k) })
			s.open("a", b)
		}
		return s
	}
	b, coded := block(transactions(99<<20, 1_000, 250), nil)
	s := besieged()
	out := s.take(s.Produce(s.at, b, coded))
	require.NotEmpty(t, only[*compact.Chunk](out, "b"))
	require.Len(t, kindOf[compact.GaveUp](out), 1, "on one of the others")

	s = besieged()
	s.open("b", b, b.Txs()...)
	require.Len(t, s.built(), 1)

	s = besieged()
	gave := kindOf[compact.GaveUp](s.open("b", b, b.Txs()[1:]...))
	require.Len(t, gave, 1)
	require.ErrorIs(t, gave[0].Why, compact.TooMany)
}

// TestMissingBytesAreKnown: what is missing is counted, not taken for as long as the rest.
func TestMissingBytesAreKnown(t *testing.T) {
	txs := append(transactions(0, 30, 128<<10-200), transactions(100, 240, 250)...)
	b, _ := block(txs, nil)
	s := newStage(t, none, "a", "b", "c")
	out := append(s.open("a", b, b.Txs()[:30]...), s.pass(30*time.Millisecond)...)
	require.Empty(t, only[*compact.Have](out, "b"), "60 KB of 4 MB are asked for, not collected in chunks")
	asked := 0
	for _, l := range []peerscore.PeerID{"a", "b", "c"} {
		for _, a := range only[*compact.Ask](out, l) {
			asked += len(a.Places)
		}
	}
	require.Equal(t, 240, asked)
}

// TestGreedCountsBytes: who asks for the largest transaction again and again is greedy, though that
// is one of thousands.
func TestGreedCountsBytes(t *testing.T) {
	b, coded := block(append(transactions(0, 1, 120<<10), transactions(10, 4_000, 100)...), nil)
	s := newStage(t, none, "a", "e")
	s.take(s.Produce(s.at, b, coded))
	given := 0
	for i := range 100 {
		for _, f := range only[*compact.Fill](s.receive("e", &compact.Ask{Block: b.ID(), ID: uint32(i + 1), Places: []uint32{0}}), "e") {
			given += f.Size()
		}
	}
	require.LessOrEqual(t, given, (compact.DefaultConfig().Served+1)*int(b.Header().Body().Size))
	blames := kindOf[compact.Blame](s.seen)
	require.Len(t, blames, 1)
	require.ErrorIs(t, blames[0].Why, compact.Greedy)
}

// TestHeadersAreHeardOfBeforeTheBlockIs: a copy of a header may come while the pool is still
// being matched. Who sent it needs no fill, and is asked like one that has it; a link is remembered
// for its last few only.
func TestHeadersAreHeardOfBeforeTheBlockIs(t *testing.T) {
	b, _ := block(transactions(0, 30, 250), nil)
	open := func(since int) *stage {
		s := newStage(t, none, "a", "b", "c")
		s.Heard("b", b.ID())
		for i := range since {
			s.Heard("b", wire.BlockID{byte(i), 1})
		}
		s.open("a", b, b.Txs()[:28]...)
		return s
	}
	s := open(3)
	require.Empty(t, only[*compact.Fill](s.seen, "b"), "it has the header, and sources of its own")
	require.NotEmpty(t, only[*compact.Fill](s.seen, "c"))
	s.pass(50 * time.Millisecond)
	require.NotEmpty(t, only[*compact.Fill](open(100).seen, "b"))
}

// R138: a block of which enough keeps coming is on its way, however slowly;
// but not for ever, lest who trickles hold its place.
func TestProgressIsNotGivenUp(t *testing.T) {
	b, coded := block(transactions(0, 5_000, 250), nil)
	chunks, cfg := chunksOf(t, b, coded), compact.DefaultConfig()
	inTime := time.Second * 9 / 10 // for a chunk
	trickle := func(every time.Duration, n int) time.Duration {
		s := newStage(t, none, "a", "b")
		s.open("a", b)
		next := start.Add(every)
		for len(kindOf[compact.GaveUp](s.seen)) == 0 && s.at.Before(start.Add(time.Hour)) {
			s.pass(100 * time.Millisecond)
			if n > 0 && !s.at.Before(next) {
				s.receive("b", chunks[n])
				n, next = n-1, next.Add(every)
			}
		}
		return s.at.Sub(start)
	}
	require.InDelta(t, cfg.GiveUp.Seconds(), trickle(time.Hour, 0).Seconds(), 0.2)
	require.InDelta(t, (3 * cfg.GiveUp).Seconds(), trickle(inTime, 22).Seconds(), 0.2, "the wait begins anew with each chunk")
	require.InDelta(t, cfg.Longest.Seconds(), trickle(inTime, 66).Seconds(), 0.2)

	s := newStage(t, none, "a", "b")
	s.open("a", b)
	for _, c := range chunks[:coded.Layout().Data] {
		s.pass(cfg.GiveUp / 15)
		s.receive("b", c)
	}
	require.Len(t, s.built(), 1)
}

// TestFramesThatChangeNothingAreCheap: what is missing is not looked for again with each frame
// that leaves it as it was.
func TestFramesThatChangeNothingAreCheap(t *testing.T) {
	b, _ := block(transactions(0, 4_000, 250), func(h *wire.HeaderBody) { h.ChunkRoot, h.ChunkData, h.ChunkParity = wire.Hash{}, 0, 0 })
	s := newStage(t, none, "a", "b", "c", "d")
	s.open("a", b)
	asks := only[*compact.Ask](s.pass(50*time.Millisecond), "a")
	require.Len(t, asks, 1)
	for name, frames := range map[string][]compact.Frame{
		"have":    {&compact.Have{Block: b.ID()}},
		"promise": {&compact.Fill{Block: b.ID(), ID: asks[0].ID, More: true}},
		"whole":   {&compact.Have{Block: b.ID(), Whole: true}},
	} {
		s.receive("a", frames[0]) // the first may change something
		allocs := testing.AllocsPerRun(50, func() { s.Receive(s.at, "a", frames[0]) })
		require.Zero(t, allocs, name)
	}
	over := &compact.Fill{Block: b.ID(), ID: asks[0].ID}
	s.receive("a", over) // it has nothing of it after all; others are asked
	s.pass(5 * time.Second)
	require.Zero(t, testing.AllocsPerRun(50, func() { s.Receive(s.at, "a", over) }), "an answer that was over already")
}

// R187: who gives a block in as many frames as it has transactions has us look at each, and not
// at all that are missing with each.
func TestPiecemealAnswersAreCheap(t *testing.T) {
	b, _ := block(transactions(0, 4_000, 250), func(h *wire.HeaderBody) { h.ChunkRoot, h.ChunkData, h.ChunkParity = wire.Hash{}, 0, 0 })
	s := newStage(t, none, "a", "b", "c", "d")
	s.open("a", b)
	ask := only[*compact.Ask](s.pass(50*time.Millisecond), "a")[0]
	for _, l := range []peerscore.PeerID{"a", "b", "c", "d"} {
		s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
	}
	s.receive("a", &compact.Fill{Block: b.ID(), ID: ask.ID, More: true})
	s.pass(5 * time.Second) // all have been asked for it
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const frames = 500
	for k := range frames {
		f := answer(b, &compact.Ask{ID: ask.ID, Places: ask.Places[k : k+1]})
		f.More = true
		s.Receive(s.at, "a", f)
	}
	runtime.ReadMemStats(&after)
	require.False(t, s.Overlooks(b.ID()))
	each := (after.TotalAlloc - before.TotalAlloc) / frames
	require.Less(t, each, uint64(4*len(b.Txs())/2), "bytes a frame: a list of what is missing takes twice as much")
	require.Empty(t, kindOf[compact.Blame](s.seen))
}

// TestNothingIsOverlooked: whatever comes in whatever order, what nobody is about to send is
// asked for as soon as there is somebody to ask.
func TestNothingIsOverlooked(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 3))
	b, _ := block(transactions(0, 40, 250), nil)
	links := []peerscore.PeerID{"a", "b", "c", "d", "e"}
	for range 300 {
		s := newStage(t, none, links[:1+rng.IntN(len(links))]...)
		s.open("a", b, b.Txs()[:20]...)
		asks, known := make(map[peerscore.PeerID][]*compact.Ask), 0
		for range 60 {
			for ; known < len(s.seen); known++ {
				if send, ok := s.seen[known].(compact.Send); ok {
					if ask, ok := send.Frame.(*compact.Ask); ok {
						asks[send.To] = append(asks[send.To], ask)
					}
				}
			}
			l := links[rng.IntN(len(links))]
			var ask *compact.Ask
			if n := len(asks[l]); n > 0 {
				ask = asks[l][rng.IntN(n)]
			}
			switch act := rng.IntN(8); {
			case act == 0:
				s.pass(time.Duration(rng.IntN(400)) * time.Millisecond)
			case act == 1:
				s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
			case act == 2:
				s.take(s.DropLink(s.at, l))
				delete(asks, l)
			case act == 3:
				require.NoError(t, s.SetLink(compact.Link{ID: l, Mesh: true, RTT: 100 * time.Millisecond}))
			case act == 4:
				s.Heard(l, b.ID())
			case ask != nil:
				k := min(rng.IntN(4), len(ask.Places))
				f := answer(b, &compact.Ask{ID: ask.ID, Places: ask.Places[:k]})
				f.More = rng.IntN(2) == 0
				ask.Places = ask.Places[k:]
				s.receive(l, f)
			}
			require.False(t, s.Overlooks(b.ID()))
		}
	}
}
