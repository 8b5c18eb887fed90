package local

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

func besieged(t *testing.T, attacker string) *scenario.Scenario {
	return smoke(t, "nodes=4", "txs.for=5s", "attackers=["+attacker+"]", "expect=[tx.delivery_ratio == 1]")
}

const forger = "{kind: spammer, count: 1, from: 2s, params: {per_second: 2000}}"

// A forger is cut, and does no harm; daemons without penalties check what it
// sends for as long as it comes.
func TestRunWithAttacker(t *testing.T) {
	program := program(t)
	r, err := Run(t.Context(), besieged(t, forger), Options{Program: program})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	require.Empty(t, r.FailedExpectations)
	require.Equal(t, 4, r.Nodes)
	require.Equal(t, 3, r.Links, "between daemons")
	require.Equal(t, 1, r.Attack.Attackers)
	require.Equal(t, "spammer", r.Attack.Kind)
	require.EqualValues(t, 1, *r.Attack.EvictedRatio)
	require.LessOrEqual(t, r.Attack.TimeToEvictS.Max, 2.0)
	require.Zero(t, *r.Attack.HonestBanned)
	before, during := r.Attack.Before, r.Attack.During
	require.NotZero(t, before.Tx.Published)
	require.NotZero(t, during.Tx.Published)
	require.Equal(t, r.Tx.Published, before.Tx.Published+during.Tx.Published)
	require.Equal(t, r.Tx.Delivered, before.Tx.Delivered+during.Tx.Delivered)
	require.Equal(t, r.Block.Published, before.Block.Published+during.Block.Published)
	require.NotNil(t, during.Tx.LatencyMS)
	require.Equal(t, 2*r.Tx.Published, r.Tx.Expected, "of daemons")

	t.Setenv("LOCAL_TEST_LENIENT", "1")
	bare, err := Run(t.Context(), besieged(t, forger), Options{Program: program})
	require.NoError(t, err)
	require.Zero(t, *bare.Attack.EvictedRatio)
	require.Nil(t, bare.Attack.TimeToEvictS)
	require.Greater(t, *bare.Resources.CPUS, 1.5**r.Resources.CPUS)
}

// A flood of valid transactions fills mempools of a given size and blocks of a
// given capacity.
func TestRunWithValidSpam(t *testing.T) {
	s := besieged(t, "{kind: valid-spam, count: 1, params: {per_second: 100}}")
	for _, set := range []string{"blocks.max_txs=10", "mempool.max_txs=100", "txs.fee=2"} {
		require.NoError(t, s.Set(set))
	}
	require.NoError(t, s.Validate())
	r, err := Run(t.Context(), s, Options{Program: program(t)})
	require.NoError(t, err)
	require.Empty(t, r.FailedExpectations)
	require.InDelta(t, 1, *r.Resources.MempoolShare, 0.15, "a busy machine fills it more slowly")
	require.Zero(t, *r.Attack.HonestBanned)
	require.Zero(t, r.Attack.Before.Tx.Published, "it began with the load")
	require.NotZero(t, *r.Tx.Included)
}

// An attacker that ends by itself ends the run, with its name and last words.
func TestRunLosesAnAttacker(t *testing.T) {
	program := program(t)
	t.Setenv("LOCAL_TEST_BROKEN", "attacker")
	_, err := Run(t.Context(), besieged(t, "{kind: silent, count: 1}"), Options{Program: program})
	require.ErrorContains(t, err, "attacker-00 ended by itself (exit status 1)")
	require.ErrorContains(t, err, "attacker is broken on purpose")
}

func TestSiege(t *testing.T) {
	xs := []*attacker{{id: "x", part: attack.Part{Attack: scenario.Attacker{From: time.Second}}}, {id: "y"}}
	g := newSiege(xs, nil)
	peer := func(id string, score float64) api.Peer { return api.Peer{ID: id, Score: score} }
	cut := g.graylist - 1

	g.saw([][]api.Peer{{}, {peer("y", 0)}}, 0)
	require.Empty(t, g.evicted, "one has not begun, one is heard")
	g.saw([][]api.Peer{{peer("x", 0), peer("y", cut)}, {}}, 1500*time.Millisecond)
	require.Equal(t, map[*attacker]time.Duration{xs[1]: 1500 * time.Millisecond}, g.evicted)
	g.saw([][]api.Peer{{peer("x", cut)}, {{ID: "y", Guest: true}}}, 3*time.Second)
	g.saw([][]api.Peer{{peer("y", 0)}, {}}, 4*time.Second)
	require.Equal(t, map[*attacker]time.Duration{xs[0]: 2 * time.Second}, g.evicted, "it came back")

	s := &scenario.Scenario{Nodes: 4, Attackers: []scenario.Attacker{{Kind: "silent", Count: 1}, {Kind: "spammer", Count: 1}}}
	a := g.attack(s)
	require.Equal(t, "silent+spammer", a.Kind)
	require.InDelta(t, 0.5, *a.EvictedRatio, 0)
	require.Equal(t, &report.EvictedS{P50: 2, Max: 2}, a.TimeToEvictS)
	require.Equal(t, report.Attack{Kind: report.NoAttack}, newSiege(nil, nil).attack(&scenario.Scenario{}))
}

func TestBanned(t *testing.T) {
	g := newSiege(nil, nil)
	ids := []string{"a", "b", "c"}
	on := func(ids ...string) (peers []api.Peer) {
		for _, id := range ids {
			peers = append(peers, api.Peer{ID: id})
		}
		return peers
	}
	low := func(id string) api.Peer { return api.Peer{ID: id, Score: g.graylist - 1} }
	all := [][]api.Peer{on("b", "c"), on("a", "c"), on("a", "b")}
	for name, c := range map[string]struct {
		after [][]api.Peer
		want  int
	}{
		"nobody":    {all, 0},
		"graylist":  {[][]api.Peer{append(on("b"), low("c")), on("a", "c"), on("a", "b")}, 1},
		"by both":   {[][]api.Peer{append(on("b"), low("c")), append(on("a"), low("c")), on("a", "b")}, 1},
		"cut":       {[][]api.Peer{on("c"), on("c"), on("a", "b")}, 1},
		"all apart": {[][]api.Peer{nil, nil, nil}, 2},
	} {
		require.Equal(t, c.want, g.banned(ids, all, c.after), name)
	}
	require.Zero(t, g.banned(ids, [][]api.Peer{on("b"), on("a"), nil}, [][]api.Peer{on("b"), on("a"), nil}), "never linked")
}

// Attackers get the seats after the daemons', money, and turns where they need
// them.
func TestCast(t *testing.T) {
	s := smoke(t, "nodes=7", "blocks.producers=2", "attackers=[{kind: equivocator, count: 3}, {kind: valid-spam, count: 1}]")
	all, err := cast(s)
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.Equal(t, 2, producing(all), "no more than there are turns")
	ids := make(map[string]bool)
	for i, x := range all {
		ids[x.id] = true
		require.Equal(t, 3+i, x.part.Seat)
	}
	require.Len(t, ids, 4)
	var c company
	c.keep(all)
	require.Len(t, c.producers, 2)
	require.Equal(t, attack.Accounts(&s.Attackers[1], 6), c.accounts)
	require.NotEmpty(t, c.accounts)

	dir := filepath.Join(shortDir(t), "net")
	plan := Plan{Nodes: 3, Slot: time.Second, Dials: 2, Seed: 1, MaxBlockTxs: 10, MempoolTxs: 20}
	state, err := found(t.Context(), dir, plan, c)
	require.NoError(t, err)
	require.NoError(t, place(all, dir, state, plan))
	for _, x := range all {
		require.Len(t, x.part.Neighbours, 2)
		require.Equal(t, state.Nodes[0].Addresses[0], x.part.Victim)
	}
	require.Contains(t, string(all[0].part.Genesis), `"max_block_txs": 10`)
}
