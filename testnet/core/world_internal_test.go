package core

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

func seed(t testing.TB) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64N(report.MaxSeed)
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

// calm is a network on which nothing goes wrong and nothing takes time but
// distance.
func calm(seed uint64) *scenario.Scenario {
	return &scenario.Scenario{
		Name: "calm", Description: "test", World: report.WorldCore, Relay: report.RelayGossip, Seed: seed, Nodes: 50,
		Network: scenario.Network{Dials: 4, Latency: scenario.Latency{Range: [2]time.Duration{5 * time.Millisecond, 100 * time.Millisecond}}},
		Settle:  3 * time.Second, Drain: 5 * time.Second,
		Txs: scenario.Txs{PerSecond: 10, Size: 250, For: 5 * time.Second},
	}
}

func built(t testing.TB, s *scenario.Scenario, tuning gossipConfig) *world {
	require.NoError(t, s.Validate())
	w, err := build(s, tuning)
	require.NoError(t, err)
	return w
}

// shortest is the distance from a node to all others in the simplest way:
// going over all links until nothing changes.
func shortest(w *world, from int) []time.Duration {
	at := make([]time.Duration, len(w.seats))
	for i := range at {
		at[i] = time.Hour
	}
	at[from] = 0
	for changed := true; changed; {
		changed = false
		for _, way := range w.network.ways {
			p := w.network.pairs[way.pair]
			to := p.a + p.b - way.from
			if t := at[way.from] + way.latency; t < at[to] {
				at[to], changed = t, true
			}
		}
	}
	return at
}

// TestFloodTakesShortestPaths: with every link in the mesh and lines without
// bound, a message arrives when the shortest path lets it, to the nanosecond.
func TestFloodTakesShortestPaths(t *testing.T) {
	tuning := defaultGossip()
	tuning.Mesh, tuning.MeshMost = 1000, 1000
	w := built(t, calm(seed(t)), tuning)
	require.NoError(t, w.run(t.Context()))
	require.Len(t, w.watch.made, 50)
	for _, r := range w.watch.made {
		want := shortest(w, r.origin)
		require.Equal(t, want, w.floors(r.origin))
		for i, at := range r.known {
			require.Equal(t, want[i], at-r.at, "from node %d to node %d", r.origin, i)
		}
	}
}

// TestLazyPull: what is lost on the way is announced and asked for; without
// announcements it is missing. Of very many losses in a row even those do not
// help, so the seeds are fixed.
func TestLazyPull(t *testing.T) {
	for of := range uint64(3) {
		s := calm(of)
		s.Network.Loss, s.Drain = 0.1, 30*time.Second
		ratio := func(lazy int) float64 {
			tuning := defaultGossip()
			tuning.Mesh, tuning.MeshMost, tuning.Lazy = 3, 4, lazy
			w := built(t, s, tuning)
			require.NoError(t, w.run(t.Context()))
			require.Positive(t, w.network.total.lost)
			return *w.report().Tx.DeliveryRatio
		}
		require.Equal(t, 1.0, ratio(defaultGossip().Lazy), "seed %d", of)
		require.Less(t, ratio(0), 1.0, "seed %d", of)
	}
}

// TestLines holds bandwidth to what a line of bits does.
func TestLines(t *testing.T) {
	s := calm(1)
	s.Nodes, s.Network.Dials = 2, 1
	s.Network.Latency.Range = [2]time.Duration{50 * time.Millisecond, 50 * time.Millisecond}
	s.Network.Classes = []scenario.Class{{Share: 1, UpMbps: 8, DownMbps: 4}}
	n := newNetwork(s)
	n.pairs[0].open = true
	m := &Message{Kind: Tx, wire: 1000} // 1 ms up, 2 ms down
	var arrive []time.Duration
	for range 3 {
		e, ok := n.send(0, 0, 1, m)
		require.True(t, ok)
		arrive = append(arrive, n.through(e.at, &e))
	}
	ms := time.Millisecond
	require.Equal(t, []time.Duration{52 * ms, 54 * ms, 56 * ms}, arrive, "the slower line sets the pace, and bits are passed on as they come")

	n.lines[0].upFree = MaxBacklog + 1
	_, ok := n.send(0, 0, 1, m)
	require.False(t, ok)
	require.Equal(t, 1, n.dropped)
	require.NoError(t, n.total.check())
}

// twisted is an honest machine whose answer to one event is changed.
type twisted struct {
	Machine
	twist func(now time.Duration, ev Event, out []Action) []Action
	wrong error
}

func (m *twisted) Step(now time.Duration, ev Event, out []Action) []Action {
	return m.twist(now, ev, m.Machine.Step(now, ev, out))
}

func (m *twisted) Check() error { return errors.Join(m.wrong, m.Machine.Check()) }

// TestViolationsAreCaught breaks each invariant on purpose.
func TestViolationsAreCaught(t *testing.T) {
	stranger := content(wire.NetworkID{}, Tx, []byte("nobody made this"))
	ping := func(ev Event) bool { return ev.Kind == Received && ev.Message.Kind == Tx }
	cases := []struct {
		want  Violation
		twist func(w *world, m *twisted, now time.Duration, ev Event, out []Action) []Action
	}{
		{Honesty, func(_ *world, _ *twisted, _ time.Duration, ev Event, out []Action) []Action {
			return append(out, Action{Kind: Send, Peer: ev.Peer, Message: stranger})
		}},
		{Honesty, func(_ *world, _ *twisted, _ time.Duration, _ Event, out []Action) []Action {
			return append(out, Action{Kind: Learned, Message: stranger})
		}},
		{OnTime, func(_ *world, _ *twisted, now time.Duration, _ Event, out []Action) []Action {
			return append(out, Action{Kind: SetTimer, Timer: joinTimer, At: now - 1})
		}},
		{Blameless, func(_ *world, _ *twisted, _ time.Duration, ev Event, out []Action) []Action {
			return append(out, Action{Kind: Close, Peer: ev.Peer, Err: errors.New("no reason")})
		}},
		{Bounds, func(_ *world, m *twisted, _ time.Duration, _ Event, out []Action) []Action {
			m.wrong = errors.New("too much of something")
			return out
		}},
		{Conservation, func(w *world, _ *twisted, _ time.Duration, _ Event, out []Action) []Action {
			w.network.total.flying--
			return out
		}},
		{OpenLinks, func(w *world, _ *twisted, _ time.Duration, _ Event, out []Action) []Action {
			for i := range w.group { // a partition of which the network does not know
				w.group[i] = i
			}
			return out
		}},
		{Supply, func(_ *world, _ *twisted, _ time.Duration, _ Event, out []Action) []Action {
			return append(out, Action{Kind: Broken, Err: Supply})
		}},
	}
	of := seed(t)
	for _, tc := range cases {
		t.Run(string(tc.want), func(t *testing.T) {
			w := built(t, calm(of), defaultGossip())
			m := &twisted{Machine: w.seats[7].machine}
			m.twist = func(now time.Duration, ev Event, out []Action) []Action {
				if ping(ev) {
					return tc.twist(w, m, now, ev, out)
				}
				return out
			}
			w.seats[7].machine = m
			err := w.run(t.Context())
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, "seed "+strconv.FormatUint(of, 10))
		})
	}
}

// TestAudit gives the audit changes that no ledger should make.
func TestAudit(t *testing.T) {
	w := built(t, calm(1), defaultGossip())
	l := w.seats[0].machine.(*node).state.ledger
	at := func(h uint64, mark byte) ledger.Ref { return ledger.Ref{Height: h, ID: wire.BlockID{mark}} }
	a := newAudit(ledger.Ref{})
	require.NoError(t, a.change(l, &ledger.Change{NewlyFinal: []ledger.Ref{at(1, 1), at(2, 1)}, Final: at(2, 1)}))
	require.NoError(t, a.change(l, &ledger.Change{RolledBack: []ledger.Ref{at(4, 1), at(3, 1)}, Final: at(2, 1)}))
	require.ErrorIs(t, a.change(l, &ledger.Change{RolledBack: []ledger.Ref{at(3, 1), at(2, 1)}, Final: at(2, 1)}), Finality)
	require.ErrorIs(t, a.change(l, &ledger.Change{NewlyFinal: []ledger.Ref{at(2, 2)}, Final: at(2, 2)}), Finality)
	require.ErrorIs(t, a.change(l, &ledger.Change{NewlyFinal: []ledger.Ref{at(4, 1)}, Final: at(4, 1)}), Finality)
	require.ErrorIs(t, a.change(l, &ledger.Change{Final: at(1, 1)}), Finality)

	rich := ledger.AccountState{Address: wire.Address{1}, Account: ledger.Account{Balance: 5}}
	require.ErrorIs(t, a.change(l, &ledger.Change{Accounts: []ledger.AccountState{rich}, Final: at(2, 1)}), Supply)
}

// TestObserverCountsWhatReceiversSay takes one delivery away; and a node that
// passes on what it never said it believed is caught at that.
func TestObserverCountsWhatReceiversSay(t *testing.T) {
	w := built(t, calm(seed(t)), defaultGossip())
	require.NoError(t, w.run(t.Context()))
	before := w.report()
	require.Equal(t, 1.0, *before.Tx.DeliveryRatio)
	r := w.watch.made[17]
	r.known[(r.origin+1)%len(r.known)] = never
	after := w.report()
	require.Equal(t, before.Tx.Delivered-1, after.Tx.Delivered)
	require.Less(t, *after.Tx.DeliveryRatio, 1.0)

	mute := built(t, calm(w.s.Seed), defaultGossip())
	m := &twisted{Machine: mute.seats[3].machine}
	m.twist = func(_ time.Duration, _ Event, out []Action) []Action {
		return slices.DeleteFunc(out, func(a Action) bool { return a.Kind == Learned })
	}
	mute.seats[3].machine = m
	require.ErrorIs(t, mute.run(t.Context()), Honesty)
}

// TestQueueAgainstNaive compares the heap with a list that is sorted each
// time: time first, then the order of planning.
func TestQueueAgainstNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var q queue
		var naive []event
		for i := range rapid.IntRange(1, 200).Draw(rt, "operations") {
			if rapid.Bool().Draw(rt, "plan") {
				e := event{at: time.Duration(rapid.IntRange(0, 5).Draw(rt, "at")), node: int32(i)}
				q.plan(e)
				naive = append(naive, e)
				continue
			}
			slices.SortStableFunc(naive, func(a, b event) int { return int(a.at - b.at) })
			e, ok := q.next()
			require.Equal(rt, len(naive) > 0, ok)
			if ok {
				require.Equal(rt, naive[0].node, e.node)
				naive = naive[1:]
			}
		}
	})
}
