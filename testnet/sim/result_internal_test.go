package sim

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
)

func identityOf(t *testing.T, seed uint64) (string, []ed25519.PrivateKey) {
	t.Helper()
	_, id, err := identity(seed, 0)
	require.NoError(t, err)
	return id.String(), shapes.Wallets(seed, 1)
}

// staged is a run of three places that went as the caller tells the observers.
func staged(t *testing.T, start time.Time) *stage {
	t.Helper()
	s := &scenario.Scenario{
		Seed: 1, Nodes: 3,
		Network: scenario.Network{Dials: 2, Latency: scenario.Latency{Range: [2]time.Duration{10 * time.Millisecond, 20 * time.Millisecond}}},
		Txs:     scenario.Txs{PerSecond: 1, Size: 250, For: time.Minute},
	}
	w, err := newWorld(s)
	require.NoError(t, err)
	g := &stage{s: s, world: w, graph: dialGraph(1, 3, 2), load: start, status: new(status)}
	g.course.end = start.Add(time.Minute)
	for i := range 3 {
		p := &place{honest: true, lives: []life{{from: start.Add(-time.Minute)}}}
		p.Number, p.Observer = i, new(Observer)
		g.places = append(g.places, p)
	}
	return g
}

// TestOneDeliveryLess removes one delivery from the feed of one observer: the
// ratio falls, and nothing that was sent makes up for it.
func TestOneDeliveryLess(t *testing.T) {
	for _, removed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := staged(t, time.Now())
			for k := range 10 {
				id := ID{byte(k)}
				g.places[0].Observer.Made(Tx, id, 250)
				time.Sleep(100 * time.Millisecond)
				for _, receiver := range []int{1, 2} {
					o := g.places[receiver].Observer
					o.Copy(Tx, id)
					o.Copy(Tx, id)
					o.Copy(Tx, ID{99}) // nobody's that count
					if !(removed && k == 4 && receiver == 2) {
						o.Valid(Tx, id)
						time.Sleep(time.Second)
						o.Valid(Tx, id) // hearing it again is no second delivery
					}
				}
			}
			r := g.report()
			require.Equal(t, 10, r.Tx.Published)
			require.Equal(t, 20, r.Tx.Expected)
			if removed {
				require.Equal(t, 19, r.Tx.Delivered)
				require.InDelta(t, 0.95, *r.Tx.DeliveryRatio, 1e-9)
				require.EqualValues(t, 19*250, r.Bytes.PayloadDelivered)
				return
			}
			require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
			require.Equal(t, 2.0, *r.Tx.CopiesPerDelivery)
			require.InDelta(t, 100, r.Tx.LatencyMS.P50, 0.001)
			require.InDelta(t, 1100, r.Tx.LatencyMS.Max, 0.001, "the second receiver heard a second later")
		})
	}
}

// TestWhoIsExpected: the origin is not, nor who was away, nor who is dishonest;
// what was made before the load, after it, or was refused does not count.
func TestWhoIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := staged(t, time.Now().Add(time.Second))
		o := g.places[0].Observer
		o.Made(Tx, ID{1}, 250) // before the load
		time.Sleep(2 * time.Second)
		o.Made(Tx, ID{2}, 250)
		o.Made(Tx, ID{3}, 250)
		g.course.refused = map[ID]error{{3}: context.Canceled}
		g.places[1].lives[0].to = time.Now().Add(grace - time.Millisecond) // gone too soon
		require.Equal(t, 1, g.report().Tx.Published)
		require.Equal(t, 1, g.report().Tx.Expected)

		g.places[1].Observer.Valid(Tx, ID{2}) // before it went
		require.Equal(t, 2, g.report().Tx.Expected)
		require.Equal(t, 1, g.report().Tx.Delivered)

		g.places[2].honest = false
		require.Equal(t, 1, g.report().Tx.Expected)
		time.Sleep(2 * time.Minute)
		o.Made(Tx, ID{4}, 250) // after the load
		require.Equal(t, 1, g.report().Tx.Published)
	})
}

// TestWhoComesBackIsExpected: a transaction is expected of who was away when it was made and
// is up for long enough later, a block is not; and time away is no time waited.
func TestWhoComesBackIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		g := staged(t, start)
		at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
		away := g.places[1]
		away.lives = []life{
			{from: at(-60), to: at(10)},
			{from: at(20), to: at(20).Add(grace - time.Millisecond)}, // too short
			{from: at(40)},
		}
		time.Sleep(12 * time.Second)
		o := g.places[0].Observer
		o.Made(Tx, ID{1}, 250)
		o.Made(Block, ID{2}, 250)
		g.places[2].Observer.Valid(Tx, ID{1})
		g.places[2].Observer.Valid(Block, ID{2})
		r := g.report()
		require.Equal(t, 2, r.Tx.Expected)
		require.Equal(t, 1, r.Tx.Delivered)
		require.Equal(t, 1, r.Block.Expected)

		time.Sleep(time.Until(at(43)))
		away.Observer.Valid(Tx, ID{1})
		r = g.report()
		require.Equal(t, 2, r.Tx.Delivered)
		require.InDelta(t, 31_000, r.Tx.LatencyMS.Max, 0.001)
		require.InDelta(t, float64((grace+3*time.Second)/time.Millisecond)-1, r.Tx.WaitedMS.Max, 0.001, "of two lives")

		away.lives = away.lives[:2]
		require.Equal(t, 2, g.report().Tx.Expected, "it is known there")
		away.Observer = new(Observer)
		require.Equal(t, 1, g.report().Tx.Expected)
	})
}

// TestExpectedUntilTheEnd: what is published so late that the run is over
// before a node could be away for long is expected of it all the same.
func TestExpectedUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := staged(t, time.Now())
		g.s.Drain = grace / 2
		time.Sleep(time.Minute)
		g.places[0].Observer.Made(Tx, ID{1}, 250)
		time.Sleep(g.s.Drain)
		for _, p := range g.places {
			p.lives[0].to = time.Now()
		}
		r := g.report()
		require.Equal(t, 2, r.Tx.Expected)
		require.Zero(t, *r.Tx.DeliveryRatio)
	})
}

func TestTailKeepsTheReason(t *testing.T) {
	var said tail
	fmt.Fprintln(&said, "a library says something")
	fmt.Fprintln(&said, "panic: index out of range")
	fmt.Fprintln(&said, "goroutine 7 [running]:")
	for range 100_000 {
		fmt.Fprintln(&said, "goroutine 8 [select]: and so on")
	}
	require.True(t, strings.HasPrefix(said.reason(), "panic: index out of range\ngoroutine 7"))
	require.Less(t, len(said.head)+len(said.end), 4*kept)

	said = tail{}
	for i := range 100_000 {
		fmt.Fprintln(&said, "line", i)
	}
	require.True(t, strings.HasSuffix(said.reason(), "line 99999"))
}

// Whatever makes a run larger makes its estimate larger, or the limit that is
// set from it starves the run.
func TestEstimateGrows(t *testing.T) {
	base := func() *scenario.Scenario {
		return &scenario.Scenario{
			Nodes: 50, Relay: report.RelayGossip, Network: scenario.Network{Dials: 20},
			Txs:    scenario.Txs{PerSecond: 10, Size: 1000, For: 10 * time.Second},
			Blocks: scenario.Blocks{Size: 1 << 20, Count: 1},
		}
	}
	for name, grow := range map[string]func(*scenario.Scenario){
		"nodes":           func(s *scenario.Scenario) { s.Nodes *= 2 },
		"dials":           func(s *scenario.Scenario) { s.Network.Dials *= 2 },
		"load":            func(s *scenario.Scenario) { s.Txs.PerSecond *= 10 },
		"time":            func(s *scenario.Scenario) { s.Txs.For *= 10 },
		"transactions":    func(s *scenario.Scenario) { s.Txs.Size *= 100 },
		"shapes":          func(s *scenario.Scenario) { s.Txs.Size = 0 },
		"size of a block": func(s *scenario.Scenario) { s.Blocks.Size *= 2 },
		"spam": func(s *scenario.Scenario) {
			s.Attackers = []scenario.Attacker{{Kind: "valid-spam", Count: 2, Params: map[string]string{"per_second": "1000", "size": "131072"}}}
		},
		"blocks":       func(s *scenario.Scenario) { s.Blocks.Count *= 4 },
		"whole blocks": func(s *scenario.Scenario) { s.Relay = report.RelayStock },
	} {
		t.Run(name, func(t *testing.T) {
			s := base()
			before := estimate(s)
			grow(s)
			require.Greater(t, estimate(s), before)
		})
	}
}

// Attackers that send without end make a run larger, the more the larger their
// frames; where nothing is kept of these, no longer attack does. What was seen is
// the greatest resident size with twelve nodes, four dials and the collector at
// 30 %, less that without attackers: 114 MB of gossip, 71 MB of stock.
func TestEstimateCountsAttackers(t *testing.T) {
	run := func(relay, kind string, params map[string]string, count int, load time.Duration) float64 {
		s := &scenario.Scenario{
			Nodes: 12, Relay: relay, Network: scenario.Network{Dials: 4, Mbps: 50}, Drain: 5 * time.Second,
			Txs: scenario.Txs{PerSecond: 5, Size: 250, For: load},
		}
		quiet := estimate(s)
		s.Attackers = []scenario.Attacker{{Kind: kind, Count: count, Params: params}}
		return estimate(s) - quiet
	}
	for name, c := range map[string]struct {
		relay, kind string
		params      map[string]string
		seen        float64 // MB, of two attackers
		kept        bool
	}{
		"forgeries":                    {report.RelayGossip, "spammer", nil, 0, false},
		"forgeries, kept":              {report.RelayStock, "spammer", nil, 13, true},
		"large transactions":           {report.RelayGossip, "oversize", nil, 13, false},
		"large transactions, kept":     {report.RelayStock, "oversize", nil, 230, true},
		"large frames":                 {report.RelayGossip, "oversize", map[string]string{"over": "frame"}, 196, false},
		"announcements":                {report.RelayGossip, "control-flood", nil, 57, false},
		"subscriptions":                {report.RelayGossip, "control-flood", map[string]string{"message": "subscriptions"}, 27, false},
		"subscriptions, kept":          {report.RelayStock, "control-flood", map[string]string{"message": "subscriptions"}, 228, true},
		"subscriptions, one a second":  {report.RelayStock, "control-flood", map[string]string{"message": "subscriptions", "per_second": "1"}, 0, true},
		"subscriptions, over the line": {report.RelayStock, "control-flood", map[string]string{"message": "subscriptions", "per_second": "10000"}, 228, true},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(count int, load time.Duration) float64 { return run(c.relay, c.kind, c.params, count, load) }
			two := of(2, 10*time.Second)
			require.Positive(t, two)
			require.InDelta(t, 2*two, of(4, 10*time.Second), 1e-6)
			if c.kept {
				require.Greater(t, of(2, 20*time.Second), two)
			} else {
				require.InDelta(t, two, of(2, 20*time.Second), 1e-6)
			}
			require.GreaterOrEqual(t, two, c.seen)
			require.Less(t, two, 4*c.seen+150, "nothing like what it takes")
		})
	}
	require.Zero(t, run(report.RelayGossip, "silent", nil, 2, 10*time.Second))
}

// Ten nodes that carried 40 transactions of 128 KiB and put them into blocks
// took 542 MB.
func TestEstimateCoversLargeTransactions(t *testing.T) {
	s := &scenario.Scenario{
		Nodes: 10, Relay: report.RelayGossip, Network: scenario.Network{Dials: 4},
		Txs: scenario.Txs{PerSecond: 10, Size: 128 << 10, For: 4 * time.Second},
	}
	require.InDelta(t, 542, estimate(s), 150)
	s.Attackers = []scenario.Attacker{{Kind: "valid-spam", Count: 2, From: time.Second, Params: map[string]string{"per_second": "1000", "size": "131072"}}}
	require.Greater(t, estimate(s), 40_000.0, "786 MB of spam at every node")
}

// Where transactions begin later than blocks, a report tells what was published before that
// from what was published while both were, and how much of the lines was in use then.
func TestOverlappingLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := staged(t, time.Now())
		g.s.Network.Mbps = 8 // a megabyte a second
		w, err := newWorld(g.s)
		require.NoError(t, err)
		g.world = w
		g.s.Txs.From, g.s.Txs.For = 10*time.Second, 10*time.Second
		g.s.Blocks = scenario.Blocks{Size: 1000, TxSize: 250, Every: 5 * time.Second, Count: 6}
		g.course.end = g.load.Add(g.s.LoadFor())
		var watching sync.WaitGroup
		watching.Go(func() { g.watchOverlap(t.Context()) })
		for k := range 6 { // at 0, 5, and so on until 25
			id := ID{byte(k)}
			g.places[0].Observer.Made(Block, id, 1000)
			time.Sleep(time.Duration(k+1) * 100 * time.Millisecond)
			g.world.meters[0].bytes.Add(600_000)
			g.places[1].Observer.Valid(Block, id)
			g.places[2].Observer.Valid(Block, id)
			time.Sleep(time.Until(g.load.Add(time.Duration(k+1) * 5 * time.Second)))
		}
		watching.Wait()
		o := g.report().Overlap
		require.Equal(t, 2, o.Before.Block.Published)
		require.Equal(t, 200.0, o.Before.Block.LatencyMS.Max)
		require.Equal(t, 2, o.During.Block.Published, "what came after the transactions is neither")
		require.Equal(t, 400.0, o.During.Block.LatencyMS.Max)
		require.InDelta(t, 1.2/30, *o.UplinkUse, 1e-6, "two blocks' worth in ten seconds of three lines")

		g.s.Txs.From = 0
		require.Nil(t, g.report().Overlap)
	})
}
