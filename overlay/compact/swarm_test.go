package compact_test

import (
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

// cold is a block that nobody knows, worth chunks.
func cold() (validation.CheckedBlock, *compact.Coded) { return block(transactions(0, 1_000, 250), nil) }

// chunksOf gives all chunk frames of a block, as its producer pushes them.
func chunksOf(t *testing.T, b validation.CheckedBlock, coded *compact.Coded) []*compact.Chunk {
	s := newStage(t, none, "x")
	out := s.take(s.Produce(s.at, b, coded))
	chunks := only[*compact.Chunk](out, "x")
	var rest compact.Bitmap
	for i := range coded.Layout().Total() {
		if i >= len(chunks) {
			rest.Set(i)
		}
	}
	for _, c := range only[*compact.Chunk](s.receive("x", &compact.Want{Block: b.ID(), Chunks: rest}), "x") {
		c.Pushed, c.Onward = true, true
		chunks = append(chunks, c)
	}
	return chunks
}

// TestProducerGivesEachChunkAway: once, each to one neighbour, who is told to pass it on.
func TestProducerGivesEachChunkAway(t *testing.T) {
	b, coded := cold()
	s := newStage(t, none, "a", "b", "c", "d", "e", "f")
	out := s.take(s.Produce(s.at, b, coded))
	given := map[int]peerscore.PeerID{}
	for _, l := range []peerscore.PeerID{"a", "b", "c", "d", "e", "f"} {
		require.Empty(t, only[*compact.Fill](out, l))
		coming := only[*compact.Have](out, l)
		require.Len(t, coming, 1)
		require.True(t, coming[0].Coming)
		chunks := only[*compact.Chunk](out, l)
		require.Equal(t, coming[0].Chunks.Count(), len(chunks))
		for _, c := range chunks {
			require.NotContains(t, given, c.Index)
			require.True(t, c.Onward && c.Pushed)
			given[c.Index] = l
		}
	}
	require.Len(t, given, coded.Layout().Total())

	// It keeps quiet about having all, for a while; then it serves, once.
	s.receive("a", &compact.Have{Block: b.ID(), Seeking: true})
	require.Empty(t, only[*compact.Have](s.pass(400*time.Millisecond), "a"))
	require.True(t, only[*compact.Have](s.pass(time.Second), "a")[0].Whole)
	everything := &compact.Want{Block: b.ID()}
	for i := range coded.Layout().Total() {
		everything.Chunks.Set(i)
	}
	rest := only[*compact.Chunk](s.receive("a", everything), "a")
	require.Len(t, rest, coded.Layout().Total()-len(only[*compact.Chunk](out, "a")))
	require.Empty(t, s.receive("a", everything), "nothing twice on a link")
}

// TestCollecting: a node that lacks the block says so, spreads what only it was given,
// asks different links for different chunks, and has the block with enough of them.
func TestCollecting(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	s := newStage(t, none, "a", "b", "c")
	out := s.open("a", b)
	require.True(t, only[*compact.Have](out, "b")[0].Seeking)
	s.receive("b", &compact.Have{Block: b.ID(), Seeking: true})
	out = s.receive("a", chunks[0])
	require.Equal(t, 0, only[*compact.Chunk](out, "b")[0].Index, "b lacks it")
	require.False(t, only[*compact.Chunk](out, "b")[0].Onward)
	require.Empty(t, only[*compact.Chunk](out, "c"), "c may have it all")

	asked := map[int]peerscore.PeerID{}
	serve := func(actions []compact.Action) (next []compact.Action) {
		for _, l := range []peerscore.PeerID{"a", "c"} {
			for _, w := range only[*compact.Want](actions, l) {
				require.LessOrEqual(t, w.Chunks.Count(), compact.DefaultConfig().Pipeline)
				for i, c := range chunks {
					if w.Chunks.Has(i) {
						require.NotContains(t, asked, i)
						asked[i] = l
						f := *c
						f.Pushed, f.Onward = false, false
						next = append(next, s.receive(l, &f)...)
					}
				}
			}
		}
		return next
	}
	out = append(s.receive("a", &compact.Have{Block: b.ID(), Whole: true}), s.receive("c", &compact.Have{Block: b.ID(), Whole: true})...)
	for len(out) > 0 {
		out = serve(out)
	}
	require.Len(t, s.built(), 1)
	require.Equal(t, compact.Chunks, s.built()[0].How.Way)
	require.Equal(t, coded.Layout().Data, s.built()[0].How.Chunks)
	require.Len(t, asked, coded.Layout().Data-1, "no more than needed")
	require.NotEmpty(t, slices.Collect(func(yield func(int) bool) {
		for i, l := range asked {
			if l == "c" && !yield(i) {
				return
			}
		}
	}), "both are asked")
	require.True(t, only[*compact.Have](s.seen, "b")[len(only[*compact.Have](s.seen, "b"))-1].Whole)
	require.Empty(t, kindOf[compact.Blame](s.seen))
}

// TestBadChunks: what does not prove is the fault of who sent it.
func TestBadChunks(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	for name, c := range map[string]struct {
		change func(*compact.Chunk)
		fault  compact.Fault
	}{
		"bent data":        {func(f *compact.Chunk) { f.Data = slices.Clone(f.Data); f.Data[5]++ }, compact.BadProof},
		"bent proof":       {func(f *compact.Chunk) { f.Proof = slices.Clone(f.Proof); f.Proof[0][5]++ }, compact.BadProof},
		"no proof":         {func(f *compact.Chunk) { f.Proof = nil }, compact.BadProof},
		"another place":    {func(f *compact.Chunk) { f.Index++ }, compact.BadProof},
		"outside":          {func(f *compact.Chunk) { f.Index = coded.Layout().Total() }, compact.Garbage},
		"another size":     {func(f *compact.Chunk) { f.Data = f.Data[1:] }, compact.Garbage},
		"not pushed, even": {func(f *compact.Chunk) { f.Pushed = false }, compact.Unasked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, none, "a", "b")
			s.open("a", b)
			f := *chunks[3]
			c.change(&f)
			s.receive("b", &f)
			require.Equal(t, []peerscore.PeerID{"b"}, s.blamed(c.fault))
			require.Empty(t, s.receive("b", chunks[4]), "nothing more of it is taken")
		})
	}
	t.Run("twice", func(t *testing.T) {
		s := newStage(t, none, "a", "b")
		s.open("a", b)
		s.receive("b", chunks[3])
		s.receive("b", chunks[3])
		require.Empty(t, s.blamed(compact.Garbage))
		require.Contains(t, s.seen, compact.Missed{Link: "b", Block: b.ID(), What: compact.Again})
	})
	t.Run("of a block without", func(t *testing.T) {
		small, _ := block(transactions(0, 10, 250), nil)
		s := newStage(t, none, "a", "b")
		s.open("a", small)
		s.receive("b", &compact.Have{Block: small.ID(), Seeking: true})
		require.Equal(t, []peerscore.PeerID{"b"}, s.blamed(compact.Garbage))
	})
}

// TestWithheldChunks: who says more than it gives is passed over, soon, and not blamed.
func TestWithheldChunks(t *testing.T) {
	b, _ := cold()
	s := newStage(t, none, "a", "b")
	s.open("a", b)
	out := s.receive("b", &compact.Have{Block: b.ID(), Whole: true})
	require.Equal(t, compact.DefaultConfig().Pipeline, only[*compact.Want](out, "b")[0].Chunks.Count())
	out = s.pass(time.Second)
	require.Contains(t, out, compact.Missed{Link: "b", Block: b.ID(), What: compact.Late})
	require.Empty(t, only[*compact.Want](out, "b"))
	require.Empty(t, kindOf[compact.Blame](s.seen))
	s.pass(time.Second)
	require.NotEmpty(t, only[*compact.Ask](s.seen, "a"), "no chunk comes: transactions are asked for")
}

// TestChunksOfAnotherBody: all chunks prove, and are not the body: the producer's fault,
// and nobody else's. The body that it signed is found in another way.
func TestChunksOfAnotherBody(t *testing.T) {
	other, otherCoded := block(transactions(7_000, 1_000, 250), nil)
	b, _ := block(transactions(0, 1_000, 250), func(h *wire.HeaderBody) { otherCoded.Describe(h) })
	chunks := chunksOf(t, other, otherCoded)
	s := newStage(t, none, "a", "b")
	s.open("a", b)
	for _, c := range chunks {
		f := *c
		f.Block = b.ID()
		s.receive("a", &f)
	}
	require.Empty(t, kindOf[compact.Blame](s.seen))
	accused := kindOf[compact.Accuse](s.seen)
	require.Len(t, accused, 1)
	require.ErrorIs(t, accused[0].Why, compact.BadCoding)
	for _, l := range []peerscore.PeerID{"a", "b"} {
		for _, ask := range only[*compact.Ask](s.seen, l) {
			s.receive(l, answer(b, ask))
		}
	}
	require.Len(t, s.built(), 1)

	// A node that has the body finds the same when it is asked for chunks.
	s = newStage(t, none, "a", "b")
	s.open("a", b, b.Txs()...)
	s.receive("b", &compact.Have{Block: b.ID(), Seeking: true})
	var want compact.Bitmap
	want.Set(1)
	require.Len(t, kindOf[compact.Accuse](s.receive("b", &compact.Want{Block: b.ID(), Chunks: want})), 1)
	require.Empty(t, s.receive("b", &compact.Want{Block: b.ID(), Chunks: want}), "said once")
	require.Empty(t, kindOf[compact.Blame](s.seen))
}

// TestDropLink: what was asked of a link that is gone is asked of others.
func TestDropLink(t *testing.T) {
	b, _ := cold()
	s := newStage(t, none, "a", "b", "c")
	s.open("a", b)
	s.receive("b", &compact.Have{Block: b.ID(), Whole: true})
	require.Len(t, only[*compact.Want](s.seen, "b"), 1)
	s.take(s.DropLink(s.at, "b"))
	out := s.receive("c", &compact.Have{Block: b.ID(), Whole: true})
	require.Len(t, only[*compact.Want](out, "c"), 1)
	require.Empty(t, s.take(s.DropLink(s.at, "b")))
}

// TestComingIsBelievedOnce: who says again and again that chunks are on their way keeps nobody
// from having them from others for longer than who says so once.
func TestComingIsBelievedOnce(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	var four compact.Bitmap
	for i := range 4 {
		four.Set(i)
	}
	took := func(again bool) time.Duration {
		s := newStage(t, none, "a", "e")
		s.open("a", b)
		s.receive("e", &compact.Have{Block: b.ID(), Chunks: four, Coming: true})
		s.receive("a", &compact.Have{Block: b.ID(), Whole: true})
		began, given := s.at, 0
		for len(s.built()) == 0 && s.at.Sub(began) < 5*time.Second {
			for wants := only[*compact.Want](s.seen, "a"); given < len(wants); wants = only[*compact.Want](s.seen, "a") {
				want := wants[given]
				given++
				for i, c := range chunks {
					if want.Chunks.Has(i) {
						f := *c
						f.Pushed, f.Onward = false, false
						s.receive("a", &f)
					}
				}
			}
			s.pass(50 * time.Millisecond)
			if again {
				s.receive("e", &compact.Have{Block: b.ID(), Chunks: four, Coming: true})
			}
		}
		return s.at.Sub(began)
	}
	require.LessOrEqual(t, took(true), took(false)+50*time.Millisecond)
}

// R137: a block that was being collected in chunks did not come at once, whatever made it whole.
func TestWhatWasAskedForDidNotComeAtOnce(t *testing.T) {
	b, _ := cold()
	s := newStage(t, none, "a", "b")
	s.open("a", b)
	out := s.receive("b", &compact.Have{Block: b.ID(), Whole: true})
	wanted := only[*compact.Want](out, "b")[0].Chunks.Count()
	everything := &compact.Ask{Places: make([]uint32, len(b.Txs()))}
	for i := range everything.Places {
		everything.Places[i] = uint32(i)
	}
	s.receive("a", answer(b, everything)) // unasked, as behind a header
	require.Len(t, s.built(), 1)
	how := s.built()[0].How
	require.Equal(t, compact.Chunks, how.Way)
	require.Equal(t, wanted, how.Wanted)
	require.Zero(t, how.Rounds)
}

// TestMemoryOfABlock: what a machine keeps of the largest block, however it came and whatever of
// it is asked for.
func TestMemoryOfABlock(t *testing.T) {
	b, coded := block(transactions(0, wire.MaxBlock/260, 250), nil)
	layout := coded.Layout()
	header, ids := b.Header(), wire.Compact(b.Block()).ShortIDs
	var frames [][]byte // all chunks but the last of the data
	for _, c := range chunksOf(t, b, coded) {
		if c.Index != layout.Data-1 {
			frames = append(frames, c.AppendTo(nil))
		}
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	s := newStage(t, none, "a", "b")
	s.Open(s.at, "a", header, ids, slices.Values([]validation.CheckedTx(nil)))
	built := 0
	for _, raw := range frames {
		f, err := compact.Decode(slices.Clone(raw))
		require.NoError(t, err)
		built += len(kindOf[compact.Built](s.Receive(s.at, "a", f)))
	}
	require.Equal(t, 1, built)
	given := heap() - before
	var last compact.Bitmap
	last.Set(layout.Data - 1)
	require.Len(t, only[*compact.Chunk](s.Receive(s.at, "b", &compact.Want{Block: b.ID(), Chunks: last}), "b"), 1)
	coding := heap() - before
	for _, kept := range []any{s, b, coded, frames, ids} { // or what a test holds would count as given back
		runtime.KeepAlive(kept)
	}
	t.Logf("a body of %d bytes: %d when it is whole, %d once all chunks were wanted", header.Body().Size, given, coding)
	body := int(header.Body().Size) + 80*len(ids)
	chunks := layout.Total() * layout.Chunk
	require.LessOrEqual(t, given, body+layout.Parity*layout.Chunk+body/10)
	require.LessOrEqual(t, coding, body+chunks+body/10)
}

// TestChunksOfAFormerLink: what was asked of a link that was dropped and taken up again was asked
// for, and counts.
func TestChunksOfAFormerLink(t *testing.T) {
	b, coded := cold()
	chunks := chunksOf(t, b, coded)
	asked := func() (*stage, *compact.Chunk) {
		s := newStage(t, none, "a", "b")
		s.open("b", b)
		wants := only[*compact.Want](s.receive("a", &compact.Have{Block: b.ID(), Whole: true}), "a")
		require.NotEmpty(t, wants)
		k := slices.IndexFunc(chunks, func(c *compact.Chunk) bool { return wants[0].Chunks.Has(c.Index) })
		f := *chunks[k]
		f.Pushed, f.Onward = false, false
		return s, &f
	}
	s, f := asked()
	s.take(s.DropLink(s.at, "a"))
	require.NoError(t, s.SetLink(compact.Link{ID: "a", RTT: 50 * time.Millisecond}))
	s.receive("a", f)
	require.Empty(t, kindOf[compact.Blame](s.seen))

	s, f = asked()
	s.take(s.DropLink(s.at, "a"))
	require.NoError(t, s.SetLink(compact.Link{ID: "a", RTT: 50 * time.Millisecond}))
	f.Proof = slices.Clone(f.Proof)
	f.Proof[0][0] ^= 1
	s.receive("a", f)
	require.Equal(t, []peerscore.PeerID{"a"}, s.blamed(compact.BadProof), "but it has to prove")

	s, _ = asked()
	for _, c := range chunks {
		f := *c
		f.Pushed, f.Onward = false, false
		s.receive("a", &f)
	}
	require.Equal(t, []peerscore.PeerID{"a"}, s.blamed(compact.Unasked), "a link that was there all the time")
}
