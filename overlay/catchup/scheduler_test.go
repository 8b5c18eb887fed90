package catchup_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	require.NoError(t, catchup.DefaultConfig().Validate())
	err := catchup.Config{}.Validate()
	for _, name := range []string{"HeadersAhead", "ProbeHeaders", "MaxSources", "Share", "Patience", "Pause", "MinRate"} {
		require.ErrorContains(t, err, name)
	}
	bad := catchup.DefaultConfig()
	bad.WindowBytes = bad.MaxRequest - 1
	require.ErrorContains(t, bad.Validate(), "WindowBytes")
	_, err = catchup.New(bad, nil, genesis, nil)
	require.Error(t, err)
}

// small is a configuration at whose bounds one is soon.
func small() catchup.Config {
	c := catchup.DefaultConfig()
	c.WindowBytes, c.WindowBlocks = 64<<10, 40
	c.MinRequest, c.MaxRequest, c.MaxBlocks = 4<<10, 32<<10, 16
	c.HeadersAhead, c.ProbeHeaders, c.BatchHeaders, c.MaxHeaders = 60, 8, 30, 400
	c.MaxSources = 4
	return c
}

// What a run does depends on what it is told and when, and on nothing else.
func TestReplay(t *testing.T) {
	run := func() (got []string) {
		main := grow(nil, 1, 800, mixed)
		w := network(t, 7, 2, 12, func(i int) *peerSim {
			kind := kinds[i%len(kinds)]
			p := &peerSim{chain: same(main, i), behave: kind.behave}
			return p
		}, main)
		for _, p := range w.list {
			behave := p.behave
			if behave == nil {
				behave = serve
			}
			p.behave = func(w *world, p *peerSim, a catchup.Ask) {
				got = append(got, fmt.Sprint(w.now.Sub(epoch), a))
				behave(w, p, a)
			}
		}
		w.run(time.Hour, w.reached(main))
		return got
	}
	first := run()
	require.Greater(t, len(first), 50)
	for range 3 {
		require.Equal(t, first, run())
	}
}

// Against anything at all: peers of all kinds on branches of all shapes, windows of all
// sizes, restarts, blocks that the chain refuses. What is simple to say must hold: the best
// branch whose blocks an honest peer gives is reached, each block of it added once and after
// its parent, no block is asked of two peers at a time, and the window is never exceeded
// (the world watches these).
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		height := uint64(rapid.IntRange(1, 300).Draw(rt, "height"))
		sizes := rapid.SliceOfN(rapid.IntRange(200, 30_000), 1, 20).Draw(rt, "sizes")
		main := grow(nil, 1, height, func(h uint64) int { return sizes[int(h)%len(sizes)] })
		cfg := small()
		cfg.WindowBlocks = rapid.IntRange(16, 200).Draw(rt, "window")
		cfg.MaxSources = rapid.IntRange(1, 16).Draw(rt, "sources")
		w := newWorld(rt, cfg, rapid.Uint64().Draw(rt, "seed"))
		w.perBlock = time.Duration(rapid.IntRange(0, 5).Draw(rt, "millis per block")) * time.Millisecond
		w.downlink = rapid.SampledFrom([]float64{100e3, 1e6, 1e9}).Draw(rt, "downlink")
		for _, h := range main[:rapid.IntRange(0, len(main)-1).Draw(rt, "stored")] {
			w.chain.add(h)
		}
		for i := range rapid.IntRange(0, 9).Draw(rt, "liars") {
			kind := rapid.IntRange(0, 12).Draw(rt, "kind")
			p := &peerSim{
				id: peerscore.PeerID(fmt.Sprint("liar ", i)), latency: time.Duration(rapid.IntRange(1, 200).Draw(rt, "ms")) * time.Millisecond,
				rate: rapid.SampledFrom([]float64{1e5, 1e6, 1e7}).Draw(rt, "rate"), behave: kinds[kind].behave, chain: main,
			}
			if rapid.Bool().Draw(rt, "own branch") {
				at := rapid.IntRange(0, len(main)).Draw(rt, "from")
				p.chain = grow(main[:at], byte(10+i), uint64(at+rapid.IntRange(1, 400).Draw(rt, "length")), sized(3000))
				if len(p.chain) > len(main) && p.behave == nil {
					p.behave = bodiless(silent) // or it would be the best
				}
				if len(p.chain) > len(main) {
					for _, h := range p.chain[at:] {
						w.reject[h.ID] = true // as would any that an honest majority does not build on
					}
				}
			}
			w.join(p)
		}
		for i := range rapid.IntRange(1, 3).Draw(rt, "honest") {
			w.join(honest(i, main))
		}
		done := func() bool { return w.chain.head.Height >= height } // another may be as high
		w.run(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "until restart"))*time.Millisecond, done)
		w.restart(9)
		w.run(4*time.Hour, done)
		require.True(rt, done(), "reached %d of %d after %v", w.chain.head.Height, height, w.now.Sub(epoch))
		seen := make(map[wire.BlockID]bool)
		for _, id := range w.added {
			require.False(rt, seen[id], "added once")
			seen[id] = true
		}
	})
}

// What was stored before a restart is not fetched again, neither headers nor blocks.
func TestResumesAfterARestart(t *testing.T) {
	main := grow(nil, 1, 2000, sized(2000))
	w := network(t, 1, 2, 0, nil, main)
	w.run(time.Hour, func() bool { return w.chain.Head().Height >= 1000 })
	stored := w.chain.Head().Height
	before := len(w.fromGood)
	w.restart(2)
	for _, p := range w.list {
		p.behave = func(w *world, p *peerSim, a catchup.Ask) {
			if a.Locator != nil {
				require.GreaterOrEqual(t, a.Locator[0].Height, stored, "headers from where it left off")
			} else {
				require.Greater(t, a.From, stored)
			}
			serve(w, p, a)
		}
	}
	w.run(time.Hour, w.reached(main))
	require.Equal(t, main[1999].ID, w.chain.Head().ID)
	t.Logf("stored %d of %d that came; the window was lost", stored, before)
}

// From a branch of its own a node comes to the better one, however deep they part; a
// locator of a few hundred bytes finds the place.
func TestDeepForks(t *testing.T) {
	for _, depth := range []int{1, 5, 130, 900} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			main := grow(nil, 1, 2000, sized(1000))
			w := network(t, 1, 2, 0, nil, main)
			for _, h := range grow(main[:1950-depth], 2, 1950, sized(1000)) {
				w.chain.add(h)
			}
			took := w.run(time.Hour, w.reached(main))
			checkBranch(t, w, main[1950-depth:])
			require.Less(t, took, 10*time.Second)
		})
	}
}

func checkBranch(t *testing.T, w *world, part branch) {
	t.Helper()
	require.Equal(t, part[len(part)-1].ID, w.chain.Head().ID)
	for _, h := range part {
		require.Equal(t, 1, w.fromGood[h.ID], "height %d", h.Height)
	}
	require.Len(t, w.fromGood, len(part), "and nothing else")
}

// A peer on another branch of our height is followed if somebody says so.
func TestSoughtPeersAreAskedHoweverLow(t *testing.T) {
	main := grow(nil, 1, 50, sized(1000))
	w := newWorld(t, catchup.DefaultConfig(), 1)
	for _, h := range main {
		w.chain.add(h)
	}
	other := grow(main[:45], 0, 50, sized(1000)) // of two as long, the lower id wins
	p := honest(0, other)
	w.join(p)
	w.run(time.Minute, func() bool { return false })
	require.Zero(t, p.asked, "it has nothing higher")
	w.s.Seek(p.id)
	w.run(time.Minute, w.reached(other))
	require.True(t, w.chain.HasBlock(other[49].ID))
	w.run(time.Minute, func() bool { return false })
	require.LessOrEqual(t, p.asked, 3, "and is left alone then")
}

// R91: a source that stalls is replaced within two seconds, and rests.
func TestAStallingSourceIsReplacedInTime(t *testing.T) {
	main := grow(nil, 1, 400, sized(10_000))
	w := network(t, 1, 1, 0, nil, main)
	w.list[0].latency = 100 * time.Millisecond // slower than the other
	quick := honest(5, main)
	quick.latency, quick.behave, quick.honest = 5*time.Millisecond, turncoat(3, silent), false
	w.join(quick)
	last, gap := epoch, time.Duration(0)
	asked := make(map[wire.BlockID]time.Time)
	for _, p := range w.list {
		behave := p.behave
		if behave == nil {
			behave = serve
		}
		p.behave = func(w *world, p *peerSim, a catchup.Ask) {
			for _, id := range a.Blocks {
				if first, again := asked[id]; again {
					gap = max(gap, w.now.Sub(first))
				}
				asked[id] = w.now
			}
			last = w.now
			behave(w, p, a)
		}
	}
	w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	require.Positive(t, gap, "something was asked of another")
	require.LessOrEqual(t, gap, 2*time.Second+300*time.Millisecond, "not later than its patience, and the next request")
	require.NotZero(t, last)
}

// Who has no place for a request is asked again soon, and for as much as before.
func TestBusyPeersAreAskedAgainSoon(t *testing.T) {
	main := grow(nil, 1, mainHeight, mixed)
	alone := network(t, 1, 2, 0, nil, main)
	fair := alone.run(time.Hour, alone.reached(main))

	const from, busy = 5 * time.Second, 30 * time.Second
	w := network(t, 1, 2, 0, nil, main)
	refused := make(map[peerscore.PeerID]int)
	for _, p := range w.list {
		p.behave = func(w *world, p *peerSim, a catchup.Ask) {
			if since := w.now.Sub(epoch); since >= from && since < from+busy {
				refused[p.id]++
				w.refuse(a, 2*p.latency, catchup.Busy)
				return
			}
			serve(w, p, a)
		}
	}
	took := w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	require.Less(t, took, fair+busy+2*time.Second)
	for _, p := range w.list {
		require.Greater(t, refused[p.id], int(busy/time.Second)*3/4, "about once a second, %s", p.id)
	}
}

// R91: a peer that was busy for a while is found again, however many give a little of each request
// meanwhile.
func TestBusyPeersAreFoundAgainAmongMisers(t *testing.T) {
	const from, busy = 2 * time.Second, 2 * time.Second
	main := grow(nil, 1, 6_000, sized(mainSize))
	alone := network(t, 1, 4, 0, nil, main)
	fair := alone.run(time.Hour, alone.reached(main))

	w := network(t, 1, 4, 0, nil, main)
	for _, p := range w.list {
		p.behave = func(w *world, p *peerSim, a catchup.Ask) {
			if since := w.now.Sub(epoch); a.Locator == nil && since >= from && since < from+busy {
				w.refuse(a, 2*p.latency, catchup.Busy)
				return
			}
			serve(w, p, a)
		}
	}
	w.at(epoch.Add(from-500*time.Millisecond), func() {
		for i := range w.cfg.MaxSources + 4 {
			id := peerscore.PeerID(fmt.Sprint("miser ", i))
			w.join(&peerSim{id: id, latency: 5 * time.Millisecond, rate: uplink, chain: main, behave: bodiless(miserly)})
		}
	})
	took := w.run(time.Hour, w.reached(main))
	t.Logf("%v, and %v where nobody is busy, and nobody a miser", took, fair)
	checkEnd(t, w, main)
	require.Less(t, took, 2*(fair+busy))
}

// R91: who failed rests, however another of its requests ends meanwhile.
func TestWhoFailedRestsWhateverElseEnds(t *testing.T) {
	main := grow(nil, 1, 64, sized(mainSize))
	cfg := catchup.DefaultConfig()
	for name, end := range map[string]func(*catchup.Scheduler, catchup.Ask){
		"short": func(s *catchup.Scheduler, a catchup.Ask) {
			_, err := s.Body(epoch, a.ID, a.Blocks[0])
			require.NoError(t, err)
			s.Ended(epoch, a.ID, catchup.End{Height: 64, Head: main[63].ID})
		},
		"busy": func(s *catchup.Scheduler, a catchup.Ask) { s.Failed(epoch, a.ID, catchup.Busy) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := catchup.New(cfg, newWorld(t, cfg, 1).chain, genesis, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			s.Peer(epoch, catchup.Source{Peer: "p", Height: 64})
			probe := s.Tick(epoch).Ask[0]
			require.NoError(t, s.Headers(epoch, probe.ID, main))
			first := s.Tick(epoch).Ask[0]
			for _, id := range first.Blocks {
				_, err := s.Body(epoch, first.ID, id)
				require.NoError(t, err)
			}
			two := s.Tick(epoch).Ask
			require.Len(t, two, 2)
			s.Failed(epoch, two[0].ID, catchup.Broken)
			end(s, two[1])
			require.Empty(t, s.Tick(epoch.Add(cfg.Rest-time.Millisecond)).Ask)
			require.NotEmpty(t, s.Tick(epoch.Add(cfg.Rest)).Ask)
		})
	}
}

// R91: a peer whose answers end at one instant is no quicker for it, and is asked for no more.
func TestAnswersThatEndAtOnceAreNoQuicker(t *testing.T) {
	main := grow(nil, 1, 64, sized(mainSize))
	cfg := catchup.DefaultConfig()
	s, err := catchup.New(cfg, newWorld(t, cfg, 1).chain, genesis, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	now := epoch
	give := func(asks []catchup.Ask) {
		now = now.Add(cfg.Patience - 10*time.Millisecond)
		for _, a := range asks {
			for i, id := range a.Blocks {
				s.Progress(now, a.ID, a.Sizes[i])
				_, err := s.Body(now, a.ID, id)
				require.NoError(t, err)
			}
		}
	}
	s.Peer(now, catchup.Source{Peer: "p", Height: 64})
	require.NoError(t, s.Headers(now, s.Tick(now).Ask[0].ID, main))
	give(s.Tick(now).Ask)
	two := s.Tick(now).Ask
	require.Len(t, two, 2)
	give(two)
	require.LessOrEqual(t, len(s.Tick(now).Ask[0].Blocks)*mainSize, cfg.MinRequest)
}

// A long line is filled: what a peer gives is measured by all that comes while a request is out,
// not by a share of it.
func TestALongLineIsFilled(t *testing.T) {
	main := grow(nil, 1, 6_000, sized(mainSize))
	w := newWorld(t, catchup.DefaultConfig(), 1)
	p := honest(0, main)
	p.rate, p.latency = 4*uplink, 300*time.Millisecond
	w.join(p)
	took := w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	t.Log(took)
	require.Less(t, took.Seconds(), 2.5*float64(len(main)*mainSize)/p.rate)
}

// Where everybody says to be busy, all are tried in turn: who has a place now and then is found
// among any number of those that never have one, and take their time to say so.
//
// R91: who says that it is busy is asked after those that give, in turn.
func TestWhereAllAreBusyAllAreTried(t *testing.T) {
	main := grow(nil, 1, mainHeight, mixed)
	w := network(t, 1, 2, 18, func(int) *peerSim {
		return &peerSim{chain: main, behave: turncoat(4, refusing(catchup.Busy))}
	}, main)
	for _, p := range w.list {
		if p.honest {
			p.behave = func(w *world, p *peerSim, a catchup.Ask) {
				if p.asked%10 == 0 {
					serve(w, p, a)
					return
				}
				w.refuse(a, 2*p.latency, catchup.Busy)
			}
		}
	}
	took := w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	require.Less(t, took, 10*time.Minute)
}

// Alone, a slow peer is better than none, and large blocks come through a thin line.
func TestASlowPeerIsKeptWhereThereIsNoOther(t *testing.T) {
	main := grow(nil, 1, 5, sized(4<<20))
	w := network(t, 1, 1, 0, nil, main)
	w.list[0].rate = 50e3
	took := w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	require.Less(t, took, 10*time.Minute)
}

// While this node itself stood still nobody was late.
func TestOwnStallIsNobodysFault(t *testing.T) {
	main := grow(nil, 1, 2000, sized(10_000))
	w := network(t, 1, 2, 0, nil, main)
	w.run(2*time.Second, w.reached(main))
	w.now = w.now.Add(time.Minute)
	for i := range w.queue {
		w.queue[i].at = w.queue[i].at.Add(time.Minute) // the line stood still, too
	}
	w.run(time.Hour, w.reached(main))
	require.Empty(t, w.late)
	checkEnd(t, w, main)
}

// A block that cannot be part of the chain takes what follows it along, tells who told of
// it, and is not fetched again.
func TestRejectedBlocks(t *testing.T) {
	main := grow(nil, 1, 100, sized(1000))
	w := newWorld(t, catchup.DefaultConfig(), 1)
	bad := grow(main[:40], 2, 120, sized(1000))
	w.reject[bad[60].ID] = true
	liar := honest(1, bad)
	liar.honest = false
	w.join(liar)
	w.join(honest(2, main))
	w.run(10*time.Minute, func() bool { return false })
	require.Equal(t, main[99].ID, w.chain.Head().ID)
	require.False(t, w.chain.HasBlock(bad[60].ID))
	require.Equal(t, 1, w.rejected[bad[60].ID])
	require.Equal(t, []peerscore.PeerID{liar.id}, w.tellers)
}

// A failure of our own is a pause, and no peer's fault.
func TestPostponed(t *testing.T) {
	main := grow(nil, 1, 200, sized(1000))
	w := network(t, 1, 1, 0, nil, main)
	w.postpone = 3
	took := w.run(time.Hour, w.reached(main))
	checkEnd(t, w, main)
	require.Greater(t, took, catchup.DefaultConfig().Pause)
	require.Empty(t, w.late)
}

func TestFaults(t *testing.T) {
	main := grow(nil, 1, 20, sized(1000))
	other := grow(nil, 2, 20, sized(1000))
	for name, test := range map[string]struct {
		list []catchup.Header
		want error
	}{
		"good":                   {main[:8], nil},
		"more than asked for":    {main, catchup.NotAsked},
		"not from what we have":  {main[3:6], catchup.NotAsked},
		"a gap":                  {branch{main[0], main[2]}, catchup.Unlinked},
		"another branch's":       {branch{main[0], other[1]}, catchup.Unlinked},
		"a height that jumps":    {branch{{ID: main[0].ID, Parent: genesis, Height: 7, Slot: 7}}, catchup.Unlinked},
		"a slot that stands":     {branch{main[0], {ID: main[1].ID, Parent: main[0].ID, Height: 2, Slot: 1}}, catchup.Unlinked},
		"the same header again":  {branch{main[0], main[0]}, catchup.Unlinked},
		"nothing is not a fault": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := catchup.New(small(), newWorld(t, small(), 1).chain, genesis, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			s.Peer(epoch, catchup.Source{Peer: "p", Height: 20})
			out := s.Tick(epoch)
			require.Len(t, out.Ask, 1)
			require.ErrorIs(t, s.Headers(epoch, out.Ask[0].ID, test.list), test.want)
			_, err = s.Body(epoch, out.Ask[0].ID, main[0].ID)
			require.ErrorIs(t, err, catchup.NotAsked, "headers were asked for")
			keep, err := s.Body(epoch, 99, main[0].ID)
			require.NoError(t, err, "an answer to what was given up is no fault")
			require.False(t, keep)
		})
	}
}

// S9 of the list of bad inputs, from this side: a peer that has nothing new is asked once.
func TestIdlePeersAreNotAsked(t *testing.T) {
	main := grow(nil, 1, 50, sized(1000))
	w := network(t, 1, 3, 0, nil, main)
	w.run(time.Minute, w.reached(main))
	before := 0
	for _, p := range w.list {
		before += p.asked
	}
	w.run(time.Hour, func() bool { return false })
	after := 0
	for _, p := range w.list {
		after += p.asked
	}
	require.LessOrEqual(t, after-before, 3)
	require.True(t, w.next.IsZero(), "and nothing wakes it")
}

var _ catchup.Chain = (*store)(nil)

func ExampleScheduler() {
	chain := &store{has: make(map[wire.BlockID]catchup.Header), best: make(map[uint64]wire.BlockID)}
	s, err := catchup.New(catchup.DefaultConfig(), chain, genesis, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := epoch
	s.Peer(now, catchup.Source{Peer: "a", Height: 3})
	ask := s.Tick(now).Ask[0]
	fmt.Println("ask", ask.Peer, "for", ask.Count, "headers above height", ask.Locator[0].Height)

	_ = s.Headers(now, ask.ID, grow(nil, 1, 3, sized(1000)))
	s.Ended(now, ask.ID, catchup.End{Height: 3, Head: blockID(1, 3)})
	ask = s.Tick(now).Ask[0]
	fmt.Println("ask", ask.Peer, "for", len(ask.Blocks), "blocks from height", ask.From)

	for _, id := range ask.Blocks {
		_, _ = s.Body(now, ask.ID, id)
	}
	fmt.Println("add", len(s.Tick(now).Add))
	fmt.Println(s.Status())
	// Output:
	// ask a for 64 headers above height 0
	// ask a for 3 blocks from height 1
	// add 3
	// {3 3 3 3000 1 0}
}
