package catchup_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// What liars do.

func silent(*world, *peerSim, catchup.Ask) {}

// dripping gives the truth, at so many bytes a second.
func dripping(rate float64) behaviour {
	return func(w *world, p *peerSim, a catchup.Ask) {
		p.rate = rate
		serve(w, p, a)
	}
}

// rubbish is found out by the scheduler or by who checks the bytes: both ways.
func rubbish(w *world, p *peerSim, a catchup.Ask) {
	w.send(p, a.ID, 1000, func() {
		if a.Locator != nil {
			require.Error(w.t, w.s.Headers(w.now, a.ID, []catchup.Header{{ID: blockID(9, 9), Parent: blockID(9, 8), Height: 9, Slot: 9}}))
		} else {
			_, err := w.s.Body(w.now, a.ID, blockID(9, 9))
			require.Error(w.t, err)
		}
		w.fail(a, 0, catchup.Lied)
	})
}

// bodiless tells the headers of its chain and then answers requests for blocks as given.
func bodiless(bodies behaviour) behaviour {
	return func(w *world, p *peerSim, a catchup.Ask) {
		if a.Locator != nil {
			serveHeaders(w, p, a)
			return
		}
		bodies(w, p, a)
	}
}

// promising ends its answers without a block.
func promising(w *world, p *peerSim, a catchup.Ask) { w.finish(p, a) }

// refusing ends its answers as given, just before it would be too late.
func refusing(why catchup.Why) behaviour {
	return func(w *world, _ *peerSim, a catchup.Ask) { w.refuse(a, w.cfg.Patience-50*time.Millisecond, why) }
}

// miserly gives one block of those that it is asked for, just before it would be too late.
func miserly(w *world, p *peerSim, a catchup.Ask) {
	early := time.Duration(a.ID*7919%97) * time.Millisecond // no two at once
	s := w.s
	w.at(w.now.Add(w.cfg.Patience-100*time.Millisecond-early), func() {
		if _, open := w.open[a.ID]; !open || s != w.s {
			return
		}
		w.s.Progress(w.now, a.ID, w.headers[a.Blocks[0]].Size)
		w.body(p, a, 0)
		delete(w.open, a.ID)
		if len(a.Blocks) > 1 {
			w.put(a, 1)
			w.s.Ended(w.now, a.ID, catchup.End{Height: uint64(len(p.chain)), Head: p.chain[len(p.chain)-1].ID})
		}
	})
}

// turncoat is honest for some requests, then as given.
func turncoat(after int, then behaviour) behaviour {
	return func(w *world, p *peerSim, a catchup.Ask) {
		if p.asked > after {
			then(w, p, a)
			return
		}
		serve(w, p, a)
	}
}

// byTurns is honest for so many requests, then as given for as many.
func byTurns(n int, other behaviour) behaviour {
	return func(w *world, p *peerSim, a catchup.Ask) {
		if p.asked/n%2 == 1 {
			other(w, p, a)
			return
		}
		serve(w, p, a)
	}
}

const (
	mainHeight = 3_000
	mainSize   = 5_000
	uplink     = 625e3 // 5 Mbit/s
)

// mixed sizes: mostly small, some of a megabyte.
func mixed(h uint64) int {
	if h%500 == 0 {
		return 1 << 20
	}
	return 200 + int(h*7919%9000)
}

// kinds are the ways to lie; what each makes of its chain, given that of the honest.
var kinds = []struct {
	name   string
	chain  func(main branch, i int) branch
	behave behaviour
}{
	{"silence", same, silent},
	{"headers, then silence", same, bodiless(silent)},
	{"a drip", same, dripping(1 << 10)},
	{"a drip at the least rate", same, dripping(70 << 10)},
	{"quick first, then a drip", same, turncoat(4, dripping(40<<10))},
	{"quick first, then silence", same, turncoat(4, silent)},
	{"quick and silent by turns", same, byTurns(3, silent)},
	{"rubbish", same, rubbish},
	{"headers, then rubbish", same, bodiless(rubbish)},
	{"less than promised", same, bodiless(promising)},
	{"a higher branch without blocks", higher, bodiless(silent)},
	{"a higher branch, no block of it found", higher, bodiless(promising)},
	{"a shorter branch, with blocks", shorter, nil},
	{"endless headers", endless, bodiless(silent)},
	{"a branch from the middle on, without blocks", forked, lacksFrom(mainHeight / 2)},
	{"quick first, then busy", same, turncoat(4, refusing(catchup.Busy))},
	{"headers, then elsewhere", same, bodiless(refusing(catchup.Elsewhere))},
	{"quick first, then too early", same, turncoat(4, refusing(catchup.Early))},
}

func same(main branch, _ int) branch { return main }

func higher(_ branch, i int) branch {
	return grow(nil, byte(10+i), mainHeight+50+uint64(i), sized(mainSize))
}

func shorter(main branch, i int) branch {
	at := len(main) - 300
	return grow(main[:at], byte(10+i), uint64(at+100), sized(mainSize))
}

func endless(_ branch, i int) branch { return grow(nil, byte(10+i), 20_000, sized(mainSize)) }

func forked(main branch, i int) branch {
	return grow(main[:mainHeight/2], byte(10+i), mainHeight+100, sized(mainSize))
}

// lacksFrom is honest below a height and silent about what is above.
func lacksFrom(height uint64) behaviour {
	return func(w *world, p *peerSim, a catchup.Ask) {
		if a.Locator == nil && a.From+uint64(len(a.Blocks)) > height {
			return
		}
		serve(w, p, a)
	}
}

func honest(i int, chain branch) *peerSim {
	return &peerSim{
		id: peerscore.PeerID(fmt.Sprint("honest ", i)), honest: true, chain: chain, rate: uplink,
		latency: time.Duration(20+15*i) * time.Millisecond,
	}
}

// network has so many honest peers, and nine liars for each of them.
func network(t testing.TB, seed uint64, good, bad int, liar func(i int) *peerSim, main branch) *world {
	w := newWorld(t, catchup.DefaultConfig(), seed)
	w.perBlock = 300 * time.Microsecond
	for i := range bad {
		p := liar(i)
		p.id = peerscore.PeerID(fmt.Sprint("liar ", i))
		p.latency = time.Duration(5+i) * time.Millisecond // quicker than the honest
		if p.rate == 0 {
			p.rate = uplink
		}
		w.join(p)
	}
	for i := range good {
		w.join(honest(i, main))
	}
	return w
}

// checkEnd holds the end of a run against what is simple to say of it: the chain is that
// of the honest, each of its blocks was added once and after its parent, and honest peers
// gave no block twice.
func checkEnd(t testing.TB, w *world, main branch) {
	require.Equal(t, main[len(main)-1].ID, w.chain.Head().ID)
	place := make(map[string]int)
	for i, id := range w.added {
		_, twice := place[string(id[:])]
		require.False(t, twice, "added once")
		place[string(id[:])] = i
	}
	for i, h := range main {
		if i > 0 {
			require.Less(t, place[string(h.Parent[:])], place[string(h.ID[:])], "parents first")
		}
		require.LessOrEqual(t, w.fromGood[h.ID], 1, "height %d: given once by the honest", h.Height)
	}
}

// R92: the window is held (the world watches it). 90 % of the peers lie, in every way that there is, each way on its own and all at once.
//
// S4, S7: to give a byte a second, or nothing of what one says to have.
func TestNineOfTenLie(t *testing.T) {
	main := grow(nil, 1, mainHeight, mixed)
	const good, bad = 2, 18
	alone := network(t, 1, good, 0, nil, main)
	fair := alone.run(time.Hour, alone.reached(main))
	checkEnd(t, alone, main)
	for _, h := range main {
		require.Equal(t, 1, alone.fromGood[h.ID])
	}
	t.Logf("%d honest peers alone: %v, window up to %d blocks, %d kB", good, fair, alone.maxBlocks, alone.maxBytes>>10)

	run := func(t *testing.T, liar func(i int) *peerSim) {
		worst := time.Duration(0)
		for seed := range uint64(2) {
			w := network(t, seed+1, good, bad, liar, main)
			took := w.run(time.Hour, w.reached(main))
			checkEnd(t, w, main)
			worst = max(worst, took)
			require.LessOrEqual(t, took, 3*fair, "seed %d", seed+1)
		}
		t.Logf("%.2f × the honest time", worst.Seconds()/fair.Seconds())
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			run(t, func(i int) *peerSim { return &peerSim{chain: kind.chain(main, i), behave: kind.behave} })
		})
	}
	t.Run("all at once", func(t *testing.T) {
		run(t, func(i int) *peerSim {
			kind := kinds[i%len(kinds)]
			return &peerSim{chain: kind.chain(main, i), behave: kind.behave}
		})
	})
}
