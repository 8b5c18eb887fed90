package recon_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// small and large are pairs whose exchanges are over within Live symbols, and not.
func small(t *testing.T) *pair { return filled(t, 1000, 20) }
func large(t *testing.T) *pair { return filled(t, 20_000, 1000) }

func filled(t *testing.T, shared, each int) *pair {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(7, 8)), shared, each, each)
	return p
}

// instead replaces the first frame of its type that the side sends.
func instead[F recon.Frame](side int, with func(f F) []recon.Frame) func(int, recon.Frame) []recon.Frame {
	done := false
	return func(from int, f recon.Frame) []recon.Frame {
		if f, ok := f.(F); ok && from == side && !done {
			done = true
			return with(f)
		}
		return []recon.Frame{f}
	}
}

const (
	initiator = iota
	responder
)

// R61, R62: TestLyingResponders is what a responder can do to an initiator, by the numbers
// of the list of bad inputs (S1 and so on).
func TestLyingResponders(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	junk := func(n int) []recon.Symbol {
		list := make([]recon.Symbol, n)
		for i := range list {
			list[i] = recon.Symbol{Sum: rng.Uint64(), Check: rng.Uint32(), Count: uint8(rng.Uint32())}
		}
		return list
	}
	type frames = []recon.Frame
	for _, c := range []struct {
		name   string
		pair   func(*testing.T) *pair
		tamper func(int, recon.Frame) []recon.Frame
		want   error
	}{
		{"S1 symbols before anything", small, instead(responder, func(f recon.Greeting) frames { return frames{recon.Symbols{Symbols: junk(1)}} }), recon.OutOfTurn},
		{"S1 a second greeting", small, instead(responder, func(f recon.Greeting) frames { return frames{f, f} }), recon.OutOfTurn},
		{"S1 done without need", small, instead(responder, func(f recon.Symbols) frames { return frames{f, recon.Done{}} }), recon.OutOfTurn},
		{"S1 a request from who should answer", small, instead(responder, func(f recon.Symbols) frames { return frames{recon.More{Upto: 10}} }), recon.OutOfTurn},
		{"S1 ids nobody asked for", small, instead(responder, func(f recon.Symbols) frames { return frames{recon.IDs{IDs: make([]wire.TxID, 5)}} }), recon.OutOfTurn},
		{"S2 two answers to one open", small, instead(responder, func(f recon.Symbols) frames { return frames{f, f} }), recon.OutOfTurn},
		{"S2 equal and symbols", small, instead(responder, func(f recon.Symbols) frames { return frames{recon.Equal{}, f} }), recon.OutOfTurn},
		{"S2 the same id twice", small, instead(responder, func(f recon.IDs) frames { return frames{f, f} }), recon.NotAsked},
		{"S3 ids of another exchange", small, instead(responder, func(f recon.IDs) frames { return frames{recon.IDs{IDs: []wire.TxID{{1}}}} }), recon.NotAsked},
		{"S4 no answer", small, instead(responder, func(recon.Symbols) frames { return nil }), recon.Stalled},
		{"S4 no greeting", small, instead(responder, func(recon.Greeting) frames { return nil }), recon.Stalled},
		{"S4 no end", small, instead(responder, func(recon.Done) frames { return nil }), recon.Stalled},
		{"S5 too many symbols", small, instead(responder, func(f recon.Symbols) frames { f.Symbols = junk(recon.Live + 1); return frames{f} }), recon.BadRange},
		{"S5 fewer symbols than asked", large, instead(responder, func(f recon.Symbols) frames {
			return frames{f, recon.Symbols{Size: f.Size, From: len(f.Symbols), Symbols: junk(1)}}
		}), recon.OutOfTurn},
		{"S6 a size that is not the last", large, second(func(f recon.Symbols) recon.Frame { f.Size--; return f }), recon.BadRange},
		{"S6 a list without the end", listed, second(func(f recon.Listing) recon.Frame { f.Total = recon.MaxSize; return f }), recon.BadRange},
		{"S6 a list of other places", listed, second(func(f recon.Listing) recon.Frame { f.From++; return f }), recon.BadRange},
		{"S6 a list out of order", listed, second(func(f recon.Listing) recon.Frame { f.IDs[0] = wire.TxID{}; return f }), recon.BadRange},
		{"S10 symbols that decode to nothing", small, always(func(f recon.Symbols) recon.Frame { f.Symbols = junk(len(f.Symbols)); return f }), nil},
		{"S10 symbols that decode to nothing, in a large set", large, always(func(f recon.Symbols) recon.Frame { f.Symbols = junk(len(f.Symbols)); return f }), nil},
		{"S10 all symbols alike", small, always(func(f recon.Symbols) recon.Frame {
			for i := range f.Symbols {
				f.Symbols[i] = f.Symbols[0]
			}
			return f
		}), nil},
		{"S6 a size that is not the list's", small, always(func(f recon.Symbols) recon.Frame { f.Symbols = junk(len(f.Symbols)); f.Size = 1 << 16; return f }), recon.BadRange},
		{"S11 symbols from another place", small, instead(responder, func(f recon.Symbols) frames { f.From = 1; return frames{f} }), recon.BadRange},
		{"S16 has nothing of what it showed", small, always(func(f recon.IDs) recon.Frame { return recon.Equal{} }), recon.OutOfTurn},
		{"S16 gives nothing of what it showed", small, instead(responder, func(recon.IDs) frames { return nil }), recon.Withheld},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.pair(t)
			p.tamper = c.tamper
			p.run(40*time.Second, func() bool { return p.asks.ended })
			if c.want != nil {
				require.ErrorIs(t, p.asks.closed, c.want)
			} else {
				var fault recon.Fault
				require.ErrorAs(t, p.asks.closed, &fault)
			}
			t.Log(p.asks.closed, "after", p.now.Sub(epoch), "and", p.sent, "bytes")
			require.Less(t, p.sent[0]+p.sent[1], 2<<20)
			require.Empty(t, p.asks.Step(p.now, recon.Tick{}, nil), "it is over")
			_, more := p.asks.Next()
			require.False(t, more)
		})
	}
}

// TestOneHonestPeerOfTen: nine responders answer with junk that takes the one large
// place, and all have their turn before the tenth. Each costs less than half a second
// and is found out.
func TestOneHonestPeerOfTen(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	junk := always(func(f recon.Symbols) recon.Frame {
		for i := range f.Symbols {
			f.Symbols[i] = recon.Symbol{Sum: rng.Uint64(), Check: rng.Uint32(), Count: uint8(rng.Uint32())}
		}
		return f
	})
	var shared recon.Large
	pairs := make([]*pair, 10)
	for i := range pairs {
		p := filled(t, 5000, 1000)
		asks, err := recon.NewInitiator(recon.DefaultConfig(), &shared, recon.Salt{2, byte(i)}, rng)
		require.NoError(t, err)
		p.asks.session = asks
		if i < 9 {
			p.tamper = junk
		}
		pairs[i] = p
	}
	honest := pairs[9]
	for honest.now.Sub(epoch) < time.Minute && len(honest.asks.compared) == 0 {
		for _, p := range pairs {
			p.run(10*time.Millisecond, func() bool { return p.asks.ended })
		}
	}
	require.Equal(t, []recon.Compared{{Theirs: 1000, Ours: 1000}}, honest.asks.compared)
	took := honest.now.Sub(epoch)
	t.Log("found after", took)
	require.Less(t, took, 5*time.Second)
	for _, p := range pairs[:9] {
		p.run(20*time.Second, func() bool { return p.asks.ended })
		require.ErrorIs(t, p.asks.closed, recon.Undecodable)
	}
}

// listed is a pair that exchanges plain ids, several frames of them.
func listed(t *testing.T) *pair { return filled(t, 0, 5000) }

// second replaces the second frame of its type that the responder sends.
func second[F recon.Frame](with func(f F) recon.Frame) func(int, recon.Frame) []recon.Frame {
	n := 0
	return always(func(f F) recon.Frame {
		if n++; n == 2 {
			return with(f)
		}
		return f
	})
}

// always replaces every frame of its type that the responder sends.
func always[F recon.Frame](with func(f F) recon.Frame) func(int, recon.Frame) []recon.Frame {
	return func(from int, f recon.Frame) []recon.Frame {
		if f, ok := f.(F); ok && from == responder {
			return []recon.Frame{with(f)}
		}
		return []recon.Frame{f}
	}
}

// R61, R62: TestLyingInitiators is the same for who asks.
func TestLyingInitiators(t *testing.T) {
	type frames = []recon.Frame
	open := recon.Open{Size: 5, Sum: 1, Check: 2}
	for _, c := range []struct {
		name string
		send frames // after the greetings and the first scan
		want error
	}{
		{"S1 an answer", frames{recon.Equal{}}, recon.OutOfTurn},
		{"S1 ids before anything differs", frames{recon.IDs{IDs: make([]wire.TxID, 1)}}, recon.OutOfTurn},
		{"S8 a storm of opens", repeat(20, open, recon.Done{}), recon.TooOften},
		{"S9 the same request again", frames{open, recon.More{Upto: 40}, recon.More{Upto: 40}}, recon.BadRange},
		{"S9 the whole set again", frames{open, recon.All{}, recon.All{}}, recon.OutOfTurn},
		{"S10 no symbol", frames{open, recon.More{}}, recon.BadRange},
		{"S10 all symbols at once", frames{open, recon.More{Upto: recon.MaxSymbols}}, recon.BadRange},
		{"S11 more without an open", frames{recon.More{Upto: 40}}, recon.OutOfTurn},
		{"S11 needs without an open", frames{recon.Need{Shorts: make([]recon.Short, 5)}}, recon.OutOfTurn},
		{"S11 more after needs", frames{open, recon.Need{Shorts: make([]recon.Short, 5)}, recon.More{Upto: 40}}, recon.OutOfTurn},
		{"S11 two opens", frames{open, open}, recon.OutOfTurn},
		{"S11 a second salt", frames{recon.Greeting{}}, recon.OutOfTurn},
		{"S11 ids from beyond the last", frames{open, recon.All{From: 1}}, recon.BadRange},
		{"S12 too many needs", append(repeat(2, recon.Need{Shorts: make([]recon.Short, recon.MaxNeeds)}), open), recon.OutOfTurn},
		{"S12 far too many needs", append(frames{open}, repeat(2, recon.Need{Shorts: make([]recon.Short, recon.MaxNeeds)})...), recon.BadRange},
		{"S12 far too many offers", append(frames{open}, repeat(5, recon.IDs{IDs: make([]wire.TxID, recon.MaxIDs)})...), recon.BadRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := small(t)
			p.asks.End()
			p.step(p.answers, recon.Received{Frame: recon.Greeting{}})
			p.run(time.Second, never)
			for _, f := range c.send {
				p.step(p.answers, recon.Received{Frame: f})
			}
			require.ErrorIs(t, p.answers.closed, c.want)
			var fault recon.Fault
			require.ErrorAs(t, p.answers.closed, &fault)
			require.True(t, fault.Proven())
		})
	}
}

func repeat(n int, list ...recon.Frame) (out []recon.Frame) {
	for range n {
		out = append(out, list...)
	}
	return out
}

// TestInventedDifference: symbols that say we have what we do not.
func TestInventedDifference(t *testing.T) {
	p := small(t)
	rng := rand.New(rand.NewPCG(11, 12))
	// The responder's node adds up symbols of a set with ids taken out that were
	// never in: both sides' short ids are right, and still it is not true.
	p.run(time.Second, func() bool { return p.frames[initiator] == 1 && p.frames[responder] == 1 })
	p.answers.Remove(randomID(rng))
	p.run(time.Minute, func() bool { return p.asks.ended })
	require.ErrorIs(t, p.asks.closed, recon.Invented)
}

// TestHalfAnHonestExchange is S4 for who answers: an initiator that says no more.
func TestHalfAnHonestExchange(t *testing.T) {
	p := large(t)
	p.tamper = instead(initiator, func(recon.More) []recon.Frame { return nil })
	p.run(time.Minute, func() bool { return p.answers.ended })
	require.ErrorIs(t, p.answers.closed, recon.Stalled)
	require.Equal(t, recon.DefaultConfig().Exchange.Round(time.Second), p.now.Sub(epoch).Round(time.Second))
}

// R61: TestCollisionIsCuredByFreshSalts is S11: two ids with one short id (here one id,
// twice in the set, which makes the same symbols) cannot be told from one
// another in this session, and can in the next.
func TestCollisionIsCuredByFreshSalts(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		p := newPair(t, recon.DefaultConfig(), seed)
		p.fill(rand.New(rand.NewPCG(7, 8)), 1000, 0, 2)
		if seed == 1 {
			p.run(time.Second, func() bool { return p.frames[responder] == 1 })
			id := randomID(rand.New(rand.NewPCG(13, 14)))
			p.answers.Add(id)
			p.answers.Add(id)
			p.run(time.Minute, func() bool { return p.asks.ended })
			require.ErrorIs(t, p.asks.closed, recon.Undecodable)
			require.Less(t, p.sent[responder], 10_000)
			continue
		}
		require.Equal(t, 2, p.exchange().Theirs)
	}
}

// R60: TestPoorSaltsOfThePeers is S11: whatever salt a peer takes, one half of the key is ours, so
// that exchanges come out right and no two sessions have the same short ids.
func TestPoorSaltsOfThePeers(t *testing.T) {
	ours := recon.Salt{2, 7, 1, 8}
	seen := make(map[recon.Short]bool)
	for i, theirs := range []recon.Salt{{}, {255, 255, 255, 255, 255, 255, 255, 255}, ours} {
		p := newPair(t, recon.DefaultConfig(), 1)
		asks, err := recon.NewInitiator(recon.DefaultConfig(), &recon.Large{}, ours, rand.New(rand.NewPCG(17, 18)))
		require.NoError(t, err)
		answers, err := recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, theirs)
		require.NoError(t, err)
		p.asks.session, p.answers.session = asks, answers
		p.fill(rand.New(rand.NewPCG(7, 8)), 1000, 5, 5)
		require.Equal(t, recon.Compared{Theirs: 5, Ours: 5}, p.exchange())

		ours[7] = byte(i + 1) // drawn afresh for every session
		for _, fresh := range []recon.Salt{ours, {9, byte(i)}} {
			key := recon.NewKey(fresh, theirs)
			short := key.Short(wire.TxID{1})
			require.False(t, seen[short], "short ids of another session")
			seen[short] = true
		}
	}
}

// TestFaultsAreProvenOrNot lists them all.
func TestFaultsAreProvenOrNot(t *testing.T) {
	for f, want := range map[recon.Fault]bool{
		recon.OutOfTurn: true, recon.BadRange: true, recon.NotAsked: true, recon.TooOften: true,
		recon.Stalled: false, recon.Overworked: false, recon.Inconsistent: false,
		recon.Undecodable: false, recon.Invented: false, recon.Withheld: false, "": false,
	} {
		require.Equal(t, want, f.Proven(), fmt.Sprint(f))
	}
}

// FuzzSession feeds both sides whatever frames, in whatever order, some of them
// honest.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, frame := range everyFrame() {
		b := recon.Encode(nil, frame)
		all = append(append(all, byte(len(b))), b...)
	}
	f.Add(uint8(3), all)
	f.Add(uint8(8), recon.Encode(nil, recon.All{}))
	f.Fuzz(func(t *testing.T, honest uint8, b []byte) {
		p := newPair(t, recon.DefaultConfig(), 1)
		p.fill(rand.New(rand.NewPCG(1, 2)), 10, 3, 4)
		n := 0
		p.run(2*time.Second, func() bool { n++; return n > int(honest)%32 || p.asks.ended || p.answers.ended })
		for len(b) > 0 {
			size := min(len(b)-1, int(b[0]))
			frame, err := recon.Decode(b[1 : 1+size])
			b = b[1+size:]
			if err != nil {
				continue
			}
			p.step(p.asks, recon.Received{Frame: frame})
			p.step(p.answers, recon.Received{Frame: frame})
			p.run(100*time.Millisecond, never)
		}
		p.run(time.Minute, never)
	})
}
