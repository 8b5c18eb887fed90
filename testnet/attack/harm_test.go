package attack_test

import (
	"cmp"
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

// crowd is a network whose honest nodes reach each other over few links of their
// own, while all attackers are linked to all of them. Of this seed the honest
// are one piece without attackers.
var (
	crowd     = []string{"nodes=11", "network.dials=1", "seed=1"}
	attackers = places + 2 // two honest nodes have one in common
	besiegers = fmt.Sprintf(", links: %d", 11-attackers)
)

// catching is what makes some nodes ask others for blocks.
var catching = []string{"nodes=12", "network.dials=5", "blocks={producers: 3, slot: 1s}", "txs.for=8s", "drain=12s", "churn=[{from: 1s, to: 4s, share: 40%, down: 4s}]"}

// siege is an attack on nodes that lack what stands against it. All of its runs
// are of one network: the same nodes, links and seed.
type siege struct {
	kind, params string // of the attackers
	count        int
	links        string   // of the attackers, where they have other links than everybody
	from         string   // when they begin; with the load, unless said
	bare         string   // relay of nodes that lack it
	mended       string   // relay of bare nodes that lack one thing less, which suffices; may be empty
	changes      []string // of tiny
	idle         string   // attackers of the run without attack; those of the attack that never begin, unless said

	// harm holds the runs of bare nodes against each other, calm being the one
	// without attack; of those who do none it says so. Figures are counts, since
	// times depend on the machine.
	harm func(t *testing.T, calm, bare *report.Report)
	// lucky says that bare nodes came to no harm although they may: then other
	// seeds are tried. Nil where one is enough.
	lucky func(bare *report.Report) bool
	// defended is what else there is to say about nodes as they are; nil where
	// nothing stands against the attack yet but that it stops nobody.
	defended func(t *testing.T, bare, ours *report.Report)
}

var (
	loses = func(t *testing.T, _, bare *report.Report) {
		require.Less(t, 2*bare.Tx.Delivered, bare.Tx.Expected)
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
	agree = func(r *report.Report) bool { return *r.Chain.Heads == 1 }
	// charges wants faults to be noticed that nobody commits in peace.
	charges = func(t *testing.T, calm, bare *report.Report) {
		offences := func(note string) bool { return strings.Contains(note, "offences to their peers, one of them: ") }
		require.False(t, slices.ContainsFunc(calm.Notes, offences))
		require.True(t, slices.ContainsFunc(bare.Notes, offences))
	}
)

// none wants an attack to cost as few bytes as peace.
func none(t *testing.T, calm, bare *report.Report) {
	require.Less(t, float64(*bare.Bytes.Wire), 1.2*float64(*calm.Bytes.Wire))
}

// wire wants an attack to make so many times the bytes of peace.
func wire(times float64) func(*testing.T, *report.Report, *report.Report) {
	return func(t *testing.T, calm, bare *report.Report) {
		require.Greater(t, float64(*bare.Bytes.Wire), times*float64(*calm.Bytes.Wire))
	}
}

// copies is the same of the messages of others that nodes are handed.
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

// plain is a relay without defences of ours, and behaved are a run's attackers
// where liars would break their rule from the beginning.
const (
	plain   = report.RelayStock
	behaved = "{kind: silent, count: 7, from: 1h}"
)

// swallowing are attackers who keep messages to themselves.
func swallowing(kind, from string, changes ...string) siege {
	return siege{
		kind: kind, count: attackers, links: besiegers, from: from, changes: append(slices.Clone(crowd), changes...),
		bare: "unrepaired", mended: "repaired", harm: loses,
		idle: fmt.Sprintf("{kind: covert-flash, count: %d%s, from: 1h}", attackers, besiegers),
	}
}

var sieges = []siege{
	swallowing("withholder", ""),

	{kind: "spammer", count: 1, bare: "lenient", harm: all(lasts, wire(2)), defended: evicts},
	{kind: "valid-spam", params: "per_second: 20", count: 1, bare: plain, harm: wire(4)},
	{kind: "duplicates", params: "copies: 20", count: 1, bare: plain, harm: copies(3)},
	{kind: "oversize", params: "over: transaction, per_second: 2", count: 1, bare: "lenient", harm: all(lasts, wire(5)), defended: evicts},
	{kind: "oversize", params: "over: frame, per_second: 2", count: 1, bare: "lenient", harm: all(lasts, wire(5)), defended: evicts},
	{kind: "replayer", params: "after_s: 190", count: 1, bare: plain, changes: []string{"drain=200s"}, harm: copies(1.5)},
	{
		kind: "slow-reader", params: "seconds: 3600", count: 1, bare: plain, changes: []string{"nodes=6", "txs={per_second: 15, size: 16KiB, for: 6s}"}, harm: func(t *testing.T, calm, bare *report.Report) {
			require.Zero(t, *calm.Tx.Dropped)
			require.Positive(t, *bare.Tx.Dropped)
		},
		defended: func(t *testing.T, _, ours *report.Report) { require.Zero(t, *ours.Tx.Dropped) },
	},
	{
		kind: "equivocator", params: "tells: halves", count: 1, bare: "lenient", changes: []string{"blocks={producers: 3, slot: 1s}"},
		harm: func(t *testing.T, calm, bare *report.Report) {
			require.Zero(t, *calm.Chain.Rollbacks)
			require.Positive(t, *bare.Chain.Rollbacks)
		},
	},

	{kind: "lying-sync", params: "lie: silence", count: 7, bare: "patient", changes: catching, idle: behaved, harm: behind, defended: abreast, lucky: agree},
	{kind: "lying-sync", params: "lie: rubbish", count: 7, bare: "patient", changes: catching, idle: behaved, harm: all(charges, abreast), defended: abreast},
	{kind: "lying-sync", params: "lie: less", count: 7, bare: "patient", changes: catching, idle: behaved, harm: abreast, defended: abreast},

	{kind: "control-flood", params: "message: ihave, per_second: 5", count: 1, bare: plain, harm: wire(5)},
	{kind: "control-flood", params: "message: iwant", count: 1, bare: plain, harm: wire(1.5), defended: evicts},
	{kind: "control-flood", params: "message: graft, per_second: 200", count: 1, bare: plain, harm: wire(1.3), defended: evicts},
	{kind: "control-flood", params: "message: prune, per_second: 200", count: 1, bare: "lenient", harm: all(lasts, wire(1.5)), defended: evicts},
	{kind: "control-flood", params: "message: idontwant, per_second: 5", count: 1, bare: plain, harm: wire(5)},
	{
		kind: "control-flood", params: "message: subscriptions, per_second: 10", count: 1, bare: plain,
		harm: func(t *testing.T, calm, bare *report.Report) {
			require.Greater(t, *bare.Resources.HeapMBPerNode, 2**calm.Resources.HeapMBPerNode)
		},
		defended: all(evicts, func(t *testing.T, bare, ours *report.Report) {
			require.Less(t, *ours.Resources.HeapMBPerNode, *bare.Resources.HeapMBPerNode)
		}),
	},
	{kind: "control-flood", params: "message: empty, per_second: 10", count: 1, bare: plain, harm: wire(5), defended: evicts},
	{kind: "control-flood", params: "message: none, per_second: 5", count: 1, bare: plain, harm: none},
}

// TestSieges runs every attacker three times in one network: before it begins
// and while it attacks, against nodes that lack what stands against it, and while
// it attacks nodes as they are. Bare nodes are harmed in the second run and not in
// the first; nodes as they are lose nothing, and ban nobody honest. What that
// proves is not the same for every kind.
//
//   - withholder, and the Sybils of [sybils]: attackers hold every place in the meshes
//     of all. While they behave, all arrives through them; when they attack, more than
//     half is lost. A fourth run is of nodes that lack the same but repair
//     (announcements, the comparison of pools), and all arrives. So repair is the
//     defence that is shown; what scores add is in attack-cold-boot and its like. That
//     some of them aim at one victim is not shown here but by TestSybilsAim, and of a
//     withholder no more than that it swallows.
//   - spammer, oversize and prunes: nodes that hold nothing against anybody are sent more
//     for as long as it lasts; nodes as they are cut it off.
//   - IWANT, GRAFT, subscriptions and empty elements: the same against the plain library,
//     since our node without its scores still has bounds that the library lacks. A flood of
//     nothing does no harm to either.
//   - IHAVE and IDONTWANT: they multiply the bytes of the plain library, and at this rate
//     those of nodes as they are. Faster ones are cut off: TestOtherFloods.
//   - slow-reader: the plain library drops messages for it, ours drops none.
//   - valid-spam, duplicates, replayer: they multiply what the plain library handles.
//     They do so to nodes as they are too, which is only shown to stop nobody.
//   - equivocator, halves: honest nodes roll back, with and without penalties; all agree
//     in the end. Who tells both to all is charged, and does no harm even to bare nodes.
//   - lying-sync, silence: who asks one peer at a time and waits for it is left behind,
//     if that peer is a liar. Who is asked is drawn anew in each run, so several may be
//     needed, and only `make attacks` has them.
//   - lying-sync, rubbish and less: no harm, even to those; rubbish is charged for, and
//     both show only that they stop nobody.
func TestSieges(t *testing.T) {
	clear(done)
	for _, s := range slices.Concat(sieges, blockSieges) {
		t.Run(strings.TrimSuffix(s.kind+" "+s.params, " "), s.run)
	}
}

// run has the siege's runs, and holds them against each other.
func (s siege) run(t *testing.T) {
	if s.lucky != nil && os.Getenv("GRAPEVINE_ATTACKS") == "" {
		t.Skip("what it costs depends on luck: make attacks has it")
	}
	begin := cmp.Or(s.from, "0s")
	bare := besiege(t, s.bare, s.attackers(begin), s.changes)
	for seed := 2; s.lucky != nil && s.lucky(bare) && seed <= seeds; seed++ {
		s.changes = append(slices.Clone(s.changes), fmt.Sprintf("seed=%d", seed))
		bare = besiege(t, s.bare, s.attackers(begin), s.changes)
	}
	calm := besiege(t, s.bare, cmp.Or(s.idle, s.attackers("1h")), s.changes)
	require.Equal(t, calm.Tx.Expected, calm.Tx.Delivered)
	s.harm(t, calm, bare)
	if s.mended != "" {
		mended := besiege(t, s.mended, s.attackers(begin), s.changes)
		require.Equal(t, mended.Tx.Expected, mended.Tx.Delivered)
	}
	ours := besiege(t, report.RelayGossip, s.attackers(begin), s.changes)
	require.Equal(t, ours.Tx.Expected, ours.Tx.Delivered)
	require.Zero(t, *ours.Attack.HonestBanned)
	require.Equal(t, bare.Links, ours.Links, "another network")
	if s.defended != nil {
		s.defended(t, bare, ours)
	}
}

// seeds is how many are tried where harm depends on luck.
const seeds = 10

// attackers is the siege's, as a scenario writes them.
func (s siege) attackers(from string) string {
	return fmt.Sprintf("{kind: %s, count: %d%s, params: {%s}, from: %s}", s.kind, s.count, s.links, s.params, from)
}

// done are the runs without attack, which several sieges share.
var done = make(map[string]*report.Report)

// besiege runs a tiny network with the given attackers over a relay.
func besiege(t *testing.T, relay, attackers string, changes []string) *report.Report {
	t.Helper()
	key := fmt.Sprint(relay, attackers, changes)
	if r := done[key]; r != nil {
		return r
	}
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
	done[key] = r
	return r
}

// TestEveryKindIsBesieged: no attacker is without a siege, nor a manner of one
// that a param names.
func TestEveryKindIsBesieged(t *testing.T) {
	besieged := func(kind, manner string) bool {
		return slices.ContainsFunc(slices.Concat(sieges, blockSieges, sybils), func(s siege) bool { return s.kind == kind && strings.Contains(s.params, manner) })
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
