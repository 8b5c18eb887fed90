package recon_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestExchanges is the sizes of sets and differences that take different roads.
func TestExchanges(t *testing.T) {
	for _, c := range []struct{ shared, asks, answers int }{
		{0, 0, 0},
		{0, 1, 0},
		{0, 0, 1},
		{0, 0, 300},
		{0, 300, 0},
		{1000, 0, 0},
		{1000, 1, 0},
		{1000, 5, 5},
		{2000, 100, 50},
		{20000, 500, 500},
		{5000, 1000, 1000},
		{20000, 3000, 0},
		{20000, 0, 3000},
		{300, 5000, 5000},
		{0, 8000, 8000},
		{20000, 8000, 7000},
	} {
		t.Run(fmt.Sprintf("%d shared, %d and %d not", c.shared, c.asks, c.answers), func(t *testing.T) {
			p := newPair(t, recon.DefaultConfig(), 1)
			p.fill(rand.New(rand.NewPCG(1, 2)), c.shared, c.asks, c.answers)
			got := p.exchange()
			require.Equal(t, recon.Compared{Theirs: c.answers, Ours: c.asks}, got)
			require.Len(t, p.asks.learned, c.answers)
			require.Len(t, p.answers.learned, c.asks)
			t.Logf("%d frames and %d bytes to the responder, %d and %d back, %d of them needs and ids, %v",
				p.frames[0], p.sent[0], p.frames[1], p.sent[1], p.told[0]+p.told[1], p.now.Sub(epoch))
			p.repair()
			require.True(t, maps.Equal(p.asks.set, p.answers.set))
			require.Equal(t, recon.Compared{}, p.exchange())
			p.run(time.Minute, never)
			require.NoError(t, p.asks.closed)
			require.NoError(t, p.answers.closed)
		})
	}
}

// TestSetsThatChangeMeanwhile lets both sets change at random during exchanges.
// Once they rest, the sets are equal, and nobody was blamed.
func TestSetsThatChangeMeanwhile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		config := recon.DefaultConfig()
		config.Grace = time.Duration(rapid.IntRange(0, 1000).Draw(rt, "grace")) * time.Millisecond
		p := newPair(t, config, rapid.Uint64().Draw(rt, "seed"))
		p.keen = true
		p.oneWay = time.Duration(rapid.IntRange(1, 300).Draw(rt, "delay")) * time.Millisecond
		p.scanTime = time.Duration(rapid.IntRange(0, 200).Draw(rt, "scan")) * time.Millisecond
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "ids"), 1))
		p.fill(rng, rapid.IntRange(0, 500).Draw(rt, "shared"), rapid.IntRange(0, 300).Draw(rt, "asks"), rapid.IntRange(0, 300).Draw(rt, "answers"))
		var known []wire.TxID
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			for range rapid.IntRange(0, 20).Draw(rt, "changes") {
				s := []*side{p.asks, p.answers}[rng.IntN(2)]
				if len(known) > 0 && rng.IntN(3) == 0 {
					s.remove(known[rng.IntN(len(known))])
				} else {
					known = append(known, randomID(rng))
					s.add(known[len(known)-1])
				}
			}
			p.run(time.Duration(rapid.IntRange(0, 400).Draw(rt, "time"))*time.Millisecond, never)
		}
		p.run(40*time.Second, never)
		require.NoError(t, p.asks.closed)
		require.NoError(t, p.answers.closed)
		require.True(t, maps.Equal(p.asks.set, p.answers.set))
	})
}

// TestGraceSparesWhatGossipBrings: what comes in while the exchange waits is not
// asked for.
func TestGraceSparesWhatGossipBrings(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	rng := rand.New(rand.NewPCG(1, 2))
	p.fill(rng, 1000, 0, 0)
	p.exchange() // the first one is hasty
	var fresh []wire.TxID
	for range 10 {
		fresh = append(fresh, randomID(rng))
		p.answers.add(fresh[len(fresh)-1])
	}
	late := 0
	p.spy = func(from int, f recon.Frame) {
		if _, ok := f.(recon.Symbols); ok {
			late++
		}
	}
	p.run(time.Minute, func() bool { return late > 0 })
	p.run(p.oneWay+100*time.Millisecond, never)
	for _, id := range fresh[:8] {
		p.asks.add(id)
	}
	require.Equal(t, recon.Compared{Theirs: 2}, p.exchange())
	require.ElementsMatch(t, fresh[8:], p.asks.learned)
}

// TestRecentIDsNeedNoScan: what entered the sets lately is found at once. What did
// not, or left, is looked for.
func TestRecentIDsNeedNoScan(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	rng := rand.New(rand.NewPCG(1, 2))
	p.fill(rng, 100, 1, 1)
	require.Equal(t, recon.Compared{Theirs: 1, Ours: 1}, p.exchange())
	require.Equal(t, [2]int{2, 2}, [2]int{p.asks.scans, p.answers.scans})
	p.repair()
	p.fill(rng, 0, 10, 10)
	require.Equal(t, recon.Compared{Theirs: 10, Ours: 10}, p.exchange())
	require.Equal(t, [2]int{2, 2}, [2]int{p.asks.scans, p.answers.scans})
	p.repair()
	p.exchange()

	p.fill(rng, 0, 10, 0)
	p.fill(rng, 1024, 0, 0)
	require.Equal(t, recon.Compared{Ours: 10}, p.exchange())
	require.Equal(t, 3, p.asks.scans, "too long ago")
	p.repair()
	require.True(t, maps.Equal(p.asks.set, p.answers.set))
}

// TestIntervals: the pace slows from the shortest to the longest interval while
// nothing is learned, and is back at once when something is.
func TestIntervals(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	rng := rand.New(rand.NewPCG(1, 2))
	p.fill(rng, 1000, 0, 0)
	p.keen = true
	var opened []time.Time
	p.spy = func(_ int, f recon.Frame) {
		if _, ok := f.(recon.Open); ok {
			opened = append(opened, p.now)
		}
	}
	gap := func(n int) time.Duration { return opened[n].Sub(opened[n-1]) }
	p.run(2*time.Minute, never)
	require.Less(t, gap(1), 5*time.Second)
	for n := 6; n < len(opened); n++ {
		require.Greater(t, gap(n), 5500*time.Millisecond)
		require.Less(t, gap(n), 11*time.Second)
	}
	n := len(opened)
	p.answers.add(randomID(rng))
	p.run(20*time.Second, never)
	require.Less(t, gap(n+1), 3*time.Second)
	p.run(5*time.Minute, never)
	n = len(opened)
	p.step(p.asks, recon.Hasten{})
	p.run(recon.OpenGap, never)
	require.Len(t, opened, n+1, "hastened")
	p.run(5*time.Minute, never)
	require.ErrorIs(t, p.asks.closed, recon.ErrAge)
	require.NoError(t, p.answers.closed)
}

// R63: TestOneLargeExchangeAtATime gives one node two peers from which it differs much.
func TestOneLargeExchangeAtATime(t *testing.T) {
	var shared recon.Large
	rng := rand.New(rand.NewPCG(1, 2))
	pairs := make([]*pair, 2)
	var busy [2]bool
	for i := range pairs {
		p := newPair(t, recon.DefaultConfig(), uint64(i))
		asks, err := recon.NewInitiator(recon.DefaultConfig(), &shared, recon.Salt{1, byte(i)}, rng)
		require.NoError(t, err)
		p.asks.session = asks
		p.keen = true
		p.fill(rng, 5000, 800, 800)
		p.spy = func(from int, f recon.Frame) {
			switch f := f.(type) {
			case recon.More:
				busy[i] = busy[i] || f.Upto > recon.Live
			case recon.All:
				busy[i] = true
			case recon.Done:
				busy[i] = busy[i] && from == initiator // the responder's comes last
			}
			require.False(t, busy[0] && busy[1])
		}
		pairs[i] = p
	}
	at := [2]bool{}
	for range 10_000 {
		for i, p := range pairs {
			p.run(10*time.Millisecond, never)
			require.NoError(t, p.asks.closed)
			at[i] = len(p.asks.compared) > 0
		}
		if at[0] && at[1] {
			return
		}
	}
	t.Fatal("one never had its turn")
}

// TestOursIsNobodysFault is what ends a session with nobody to blame.
func TestOursIsNobodysFault(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	opened := func(p *pair) func() bool { return func() bool { return p.frames[initiator] >= 2 } }
	for name, c := range map[string]struct {
		do   func(p *pair)
		want error
	}{
		"the set changed too much": {func(p *pair) {
			p.run(time.Second, opened(p))
			for range 1<<14 + 1 {
				p.asks.add(randomID(rng))
			}
		}, recon.ErrOverrun},
		"a scan took too long": {func(p *pair) {
			p.run(time.Second, opened(p))
			p.scanTime = time.Minute
		}, recon.ErrLate},
		"a scan saw another set": {func(p *pair) {
			p.run(time.Second, opened(p))
			p.asks.set[randomID(rng)] = true
		}, recon.ErrOutOfStep},
		"more left the set than was in it": {func(p *pair) {
			p.exchange()
			for range 30_000 {
				p.asks.Remove(randomID(rng))
			}
		}, recon.ErrOutOfStep},
		"the set is too large": {func(p *pair) {
			p.exchange()
			for range recon.MaxSize {
				p.asks.Add(randomID(rng))
			}
		}, recon.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			p := large(t)
			c.do(p)
			p.run(time.Minute, func() bool { return p.asks.ended })
			require.ErrorIs(t, p.asks.closed, c.want)
			var fault recon.Fault
			require.False(t, errors.As(p.asks.closed, &fault))
		})
	}
}

// TestOpenMayComeBeforeTheFirstScan, once: the responder answers when it can.
func TestOpenMayComeBeforeTheFirstScan(t *testing.T) {
	r, err := recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, recon.Salt{})
	require.NoError(t, err)
	out := r.Step(epoch, recon.Received{Frame: recon.Greeting{}}, nil)
	require.Len(t, out, 2)
	scan := out[1].(recon.RunScan).Scan
	require.Empty(t, r.Step(epoch, recon.Received{Frame: recon.Open{}}, nil))
	require.Empty(t, r.Step(epoch, recon.Scanned{Scan: scan}, nil), "it has not run")
	scan.Run(ids(nil))
	out = r.Step(epoch, recon.Scanned{Scan: scan}, nil)
	require.Equal(t, []recon.Action{recon.Send{Frame: recon.Equal{}}}, out)
	require.Empty(t, r.Step(epoch, recon.Scanned{Scan: scan}, nil), "it is done")

	r, err = recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, recon.Salt{})
	require.NoError(t, err)
	r.Step(epoch, recon.Received{Frame: recon.Greeting{}}, nil)
	r.Step(epoch, recon.Received{Frame: recon.Open{}}, nil)
	out = r.Step(epoch, recon.Received{Frame: recon.Open{}}, nil)
	require.Equal(t, []recon.Action{recon.Close{Err: recon.OutOfTurn}}, out)
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	require.NoError(t, recon.DefaultConfig().Validate())
	err := recon.Config{Grace: -1, MaxInterval: -1, Exchange: -5, MaxAge: -2}.Validate()
	for _, field := range []string{"MinInterval", "MaxInterval", "Grace", "Answer", "Exchange", "MaxAge"} {
		require.ErrorContains(t, err, field)
	}
	_, err = recon.NewInitiator(recon.Config{}, &recon.Large{}, recon.Salt{}, nil)
	require.Error(t, err)
	_, err = recon.NewResponder(recon.Config{}, &recon.Large{}, recon.Salt{})
	require.Error(t, err)
}

// A set that is emptied between its symbols and its listing, as a pool is by a block, is no
// fault of its owner's.
func TestListingOfASetThatWasEmptied(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(7, 8)), 20, 0, 400)
	asked := false
	p.spy = func(_ int, f recon.Frame) {
		_, all := f.(recon.All)
		asked = asked || all
	}
	p.run(10*time.Second, func() bool { return asked })
	require.True(t, asked, "plain ids are cheaper here")
	for id := range ids(p.answers.set) {
		if !p.asks.set[id] {
			p.answers.remove(id)
		}
	}
	require.Equal(t, recon.Compared{}, p.exchange())
}

// A small pool that blocks turned over while it was compared is nobody's fault: as many
// came as went, so its size does not tell.
func TestSmallPoolThatTurnsOver(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(1, 2)), 0, 100, 100)
	turned := false
	p.spy = func(_ int, f recon.Frame) {
		if _, ok := f.(recon.All); !ok || turned {
			return
		}
		turned = true
		for id := range maps.Clone(p.answers.set) {
			p.answers.remove(id)
		}
		for id := range p.asks.set {
			p.answers.add(id)
		}
	}
	p.run(10*time.Second, never)
	require.True(t, turned)
	require.NoError(t, p.asks.closed)
	require.NoError(t, p.answers.closed)
	require.Equal(t, recon.Compared{}, p.asks.compared[0])
}

// R63: what tells many ids waits for the one place, and that for what is being fetched.
//
// S12: a difference that is large costs others nothing.
func TestTellingManyWaitsForWhatIsFetched(t *testing.T) {
	for name, c := range map[string]struct {
		asks, answers int // ids that only each side has
		asking        bool
		told          bool
	}{
		"few, while the asker fetches":               {20, 20, true, true},
		"few, while the answerer fetches":            {20, 20, false, true},
		"many to need, while the asker fetches":      {0, 300, true, false},
		"many to need, while the answerer fetches":   {0, 300, false, false},
		"many to offer, while the asker fetches":     {300, 0, true, false},
		"many to offer, while the answerer fetches":  {300, 0, false, false},
		"too many for a small one, however they are": {50, 50, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			var asks, answers recon.Large
			p := newPair(t, recon.DefaultConfig(), 1)
			initiator, err := recon.NewInitiator(recon.DefaultConfig(), &asks, recon.Salt{1}, rng)
			require.NoError(t, err)
			responder, err := recon.NewResponder(recon.DefaultConfig(), &answers, recon.Salt{2})
			require.NoError(t, err)
			p.asks.session, p.answers.session = initiator, responder
			p.fill(rng, 1000, c.asks, c.answers)
			p.keen = true
			told := 0
			p.spy = func(_ int, f recon.Frame) {
				switch f := f.(type) {
				case recon.Need:
					told += len(f.Shorts)
				case recon.IDs:
					told += len(f.IDs)
				}
			}
			busy := &answers
			if c.asking {
				busy = &asks
			}
			busy.Keep(true)
			p.run(20*time.Second, func() bool { return told > 0 })
			require.Equal(t, c.told, told > 0)
			require.Less(t, p.sent[0]+p.sent[1], 64<<10, "waiting is cheap")
			busy.Keep(false)
			p.run(10*time.Second, func() bool { return len(p.asks.set) == len(p.answers.set) && len(p.asks.set) == 1000+c.asks+c.answers })
			require.Len(t, p.asks.set, 1000+c.asks+c.answers)
			require.Len(t, p.answers.set, 1000+c.asks+c.answers)
			require.NoError(t, p.asks.closed)
			require.NoError(t, p.answers.closed)
		})
	}
}

// R62: where nothing differs, exchanges follow each other at MinInterval to MaxInterval, never
// later: what only reconciliation brings must not wait longer.
func TestPaceKeepsItsBounds(t *testing.T) {
	config := recon.DefaultConfig()
	p := newPair(t, config, 3)
	p.fill(rand.New(rand.NewPCG(7, 8)), 100, 0, 0)
	var last time.Time
	var gaps []time.Duration
	p.spy = func(_ int, f recon.Frame) {
		if _, ok := f.(recon.Open); ok {
			if !last.IsZero() {
				gaps = append(gaps, p.now.Sub(last))
			}
			last = p.now
		}
	}
	p.run(9*time.Minute, func() bool { return p.asks.ended })
	require.Greater(t, len(gaps), 60)
	const underWay = 200 * time.Millisecond // of the exchange itself
	require.GreaterOrEqual(t, slices.Min(gaps), config.MinInterval)
	require.LessOrEqual(t, slices.Max(gaps), config.MaxInterval+underWay)
	settled := gaps[len(gaps)/2:]
	require.Greater(t, slices.Max(settled)-slices.Min(settled), config.MaxInterval/8, "links do not beat as one")
}
