package attack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// tiny is the network of a siege: as small as it can be and still be attacked.
const tiny = `
description: the smallest network that can be attacked
nodes: 8
network: {dials: 3, latency: {range: [20ms, 80ms]}, mbps: 50}
settle: 5s
drain: 5s
txs: {per_second: 10, size: 250, for: 3s}
`

// tree has no link to spare: whoever passes on nothing cuts it. Of this seed it
// is one piece, and attackers sit between honest nodes.
var tree = []string{"network.dials=1", "seed=2"}

// catching is what makes some nodes ask others for blocks.
var catching = []string{"nodes=10", "blocks={producers: 3, slot: 1s}", "txs.for=10s", "drain=20s", "churn=[{from: 1s, to: 5s, share: 40%, down: 4s}]"}

// siege is an attack on nodes that lack what stands against it.
type siege struct {
	kind, params string // of the attackers
	count        int
	bare         string   // relay of nodes that lack it
	changes      []string // of tiny, for all three runs
	lacks        []string // more of them, for the two runs without the defence
	idle         string   // attackers of the run without attack; those of the attack that never begin, unless said

	// harm holds the runs of bare nodes against each other, calm being the one
	// without attack. Figures are counts, since times depend on the machine.
	harm func(t *testing.T, calm, bare *report.Report)
	// defended is what else there is to say about nodes as they are; nil where
	// nothing stands against the attack yet but that it stops nobody.
	defended func(t *testing.T, bare, ours *report.Report)
}

var (
	loses = func(t *testing.T, _, bare *report.Report) {
		require.Less(t, bare.Tx.Delivered, bare.Tx.Expected)
	}
	lasts = func(t *testing.T, _, bare *report.Report) {
		require.NotNil(t, bare.Attack.EvictedRatio)
		require.Zero(t, *bare.Attack.EvictedRatio)
	}
	evicts = func(t *testing.T, _, ours *report.Report) {
		require.EqualValues(t, 1, *ours.Attack.EvictedRatio)
	}
	behind = func(t *testing.T, calm, bare *report.Report) {
		require.Equal(t, 1, *calm.Chain.Heads)
		require.Greater(t, *bare.Chain.Heads, 1)
		require.Less(t, bare.Block.Delivered, bare.Block.Expected)
	}
	abreast = func(t *testing.T, _, ours *report.Report) {
		require.Equal(t, 1, *ours.Chain.Heads)
		require.Equal(t, ours.Block.Expected, ours.Block.Delivered)
	}
	// charges wants faults to be noticed that nobody commits in peace.
	charges = func(t *testing.T, calm, bare *report.Report) {
		offences := func(note string) bool { return strings.Contains(note, "offences to their peers, one of them: ") }
		require.False(t, slices.ContainsFunc(calm.Notes, offences))
		require.True(t, slices.ContainsFunc(bare.Notes, offences))
	}
)

// wire wants an attack to make so many times the bytes of peace.
func wire(times float64) func(*testing.T, *report.Report, *report.Report) {
	return func(t *testing.T, calm, bare *report.Report) {
		require.Greater(t, float64(*bare.Bytes.Wire), times*float64(*calm.Bytes.Wire))
	}
}

// copies is the same of messages that nodes are handed.
func copies(times float64) func(*testing.T, *report.Report, *report.Report) {
	return func(t *testing.T, calm, bare *report.Report) {
		require.Greater(t, *bare.Tx.CopiesPerDelivery, times**calm.Tx.CopiesPerDelivery)
	}
}

func all(checks ...func(*testing.T, *report.Report, *report.Report)) func(*testing.T, *report.Report, *report.Report) {
	return func(t *testing.T, a, b *report.Report) {
		for _, check := range checks {
			check(t, a, b)
		}
	}
}

// plain is a relay without defences of ours, and nobody is a run's attackers
// where they break their rule from the beginning.
const (
	plain  = report.RelayStock
	nobody = " "
)

var sieges = []siege{
	{kind: "silent", count: 3, bare: plain, lacks: tree, harm: loses},
	{kind: "withholder", count: 3, bare: plain, lacks: tree, harm: loses},
	{kind: "cold-boot", count: 3, bare: plain, lacks: tree, idle: "{kind: covert-flash, count: 3, from: 1h}", harm: loses},
	{kind: "covert-flash", count: 3, bare: plain, lacks: tree, harm: loses},
	{kind: "eclipse", count: 3, bare: plain, lacks: tree, harm: loses},
	{kind: "censor", count: 3, bare: plain, changes: []string{"txs.origins=1"}, lacks: tree, harm: loses},

	{kind: "spammer", count: 1, bare: "lenient", harm: all(lasts, copies(2)), defended: evicts},
	{kind: "valid-spam", params: "per_second: 20", count: 1, bare: plain, harm: copies(5)},
	{kind: "duplicates", params: "copies: 20", count: 1, bare: plain, harm: copies(3)},
	{kind: "oversize", params: "over: transaction, per_second: 2", count: 1, bare: "lenient", harm: all(lasts, wire(5)), defended: evicts},
	{kind: "oversize", params: "over: frame, per_second: 2", count: 1, bare: "lenient", harm: all(lasts, wire(5)), defended: evicts},
	{kind: "replayer", params: "after_s: 190", count: 1, bare: plain, changes: []string{"drain=200s"}, harm: copies(1.5)},
	{
		kind: "slow-reader", params: "seconds: 3600", count: 1, bare: plain, changes: []string{"nodes=6", "txs={per_second: 15, size: 16KiB, for: 6s}"}, harm: func(t *testing.T, calm, bare *report.Report) {
			require.Zero(t, *calm.Tx.Dropped)
			require.Positive(t, *bare.Tx.Dropped)
		},
	},
	{
		kind: "equivocator", count: 1, bare: "lenient", changes: []string{"blocks={producers: 3, slot: 1s}"},
		harm: func(t *testing.T, calm, bare *report.Report) {
			require.Zero(t, *calm.Chain.Rollbacks)
			require.Positive(t, *bare.Chain.Rollbacks)
		},
	},

	{kind: "lying-sync", params: "lie: silence", count: 4, bare: "patient", changes: catching, idle: nobody, harm: behind, defended: abreast},
	// Nobody needs patience with a claim of which not even a header comes: TestLiarBoasts says that it is made.
	{kind: "lying-sync", params: "lie: less", count: 4, bare: "patient", changes: catching, idle: nobody, harm: abreast, defended: abreast},
	{kind: "lying-sync", params: "lie: rubbish", count: 4, bare: "patient", changes: catching, idle: nobody, harm: charges, defended: abreast},

	{kind: "control-flood", params: "message: ihave, per_second: 5", count: 1, bare: plain, harm: wire(5)},
	{kind: "control-flood", params: "message: iwant", count: 1, bare: plain, harm: wire(1.5)},
	{kind: "control-flood", params: "message: graft, per_second: 200", count: 1, bare: plain, harm: wire(1.3)},
	{kind: "control-flood", params: "message: prune, per_second: 200", count: 1, bare: "lenient", harm: all(lasts, wire(1.5)), defended: evicts},
	{kind: "control-flood", params: "message: idontwant, per_second: 5", count: 1, bare: plain, harm: wire(5)},
	{
		kind: "control-flood", params: "message: subscriptions, per_second: 10", count: 1, bare: plain,
		harm: func(t *testing.T, calm, bare *report.Report) {
			require.Greater(t, *bare.Resources.HeapMBPerNode, 2**calm.Resources.HeapMBPerNode)
		},
		defended: func(t *testing.T, bare, ours *report.Report) {
			require.Less(t, *ours.Resources.HeapMBPerNode, *bare.Resources.HeapMBPerNode)
		},
	},
	{kind: "control-flood", params: "message: empty, per_second: 10", count: 1, bare: "lenient", harm: all(lasts, wire(5)), defended: evicts},
}

// TestSieges: every attacker does harm where nothing stands against it, and the
// same attackers do none before they begin; nodes as they are lose nothing to
// any of them, and ban nobody honest.
func TestSieges(t *testing.T) {
	for _, s := range slices.Concat(sieges, blockSieges) {
		t.Run(strings.TrimSuffix(s.kind+" "+s.params, " "), func(t *testing.T) {
			if s.params == "lie: silence" && os.Getenv("GRAPEVINE_ATTACKS") == "" {
				t.Skip("what it costs depends on the moment, and on a busy machine it may cost nothing: make attacks has it")
			}
			attackers := func(from string) string {
				return fmt.Sprintf("{kind: %s, count: %d, params: {%s}, from: %s}", s.kind, s.count, s.params, from)
			}
			idle := attackers("1h")
			if s.idle != "" {
				idle = s.idle
			}
			bareChanges := append(slices.Clone(s.changes), s.lacks...)
			calm := besiege(t, s.bare, idle, bareChanges)
			require.Equal(t, calm.Tx.Expected, calm.Tx.Delivered)
			bare := besiege(t, s.bare, attackers("0s"), bareChanges)
			s.harm(t, calm, bare)
			ours := besiege(t, report.RelayGossip, attackers("0s"), s.changes)
			require.Equal(t, ours.Tx.Expected, ours.Tx.Delivered)
			require.Zero(t, *ours.Attack.HonestBanned)
			if s.defended != nil {
				s.defended(t, bare, ours)
			}
		})
	}
}

// besiege runs a tiny network with the given attackers over a relay.
func besiege(t *testing.T, relay, attackers string, changes []string) *report.Report {
	t.Helper()
	s, err := scenario.Parse("tiny.yaml", []byte(tiny))
	require.NoError(t, err)
	for _, c := range append([]string{"attackers=[" + attackers + "]"}, changes...) {
		require.NoError(t, s.Set(c))
	}
	require.NoError(t, s.Validate())
	for i := range s.Attackers {
		require.NoError(t, attack.Check(&s.Attackers[i]))
	}
	s.Relay = relay
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	t.Logf("%s over %s, seed %d: %s", attackers, relay, s.Seed, text)
	return r
}

// TestEveryKindIsBesieged: no attacker is without a siege, nor a manner of one
// that a param names.
func TestEveryKindIsBesieged(t *testing.T) {
	besieged := func(kind, manner string) bool {
		return slices.ContainsFunc(slices.Concat(sieges, blockSieges), func(s siege) bool { return s.kind == kind && strings.Contains(s.params, manner) })
	}
	for _, k := range attack.Describe() {
		require.True(t, besieged(k.Name, ""), k.Name)
		for _, p := range k.Params {
			takes, _, _ := strings.Cut(p.Takes, ";")
			if words := strings.Split(takes, ", "); len(words) > 1 {
				for _, word := range words {
					require.True(t, besieged(k.Name, p.Name+": "+word), "%s, %s: %s", k.Name, p.Name, word)
				}
			}
		}
	}
}
