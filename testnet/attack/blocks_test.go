package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// sized makes blocks that nobody knows, large enough for chunks.
var sized = []string{"txs.for=1s", "blocks={size: 128KiB, tx_size: 8KiB, every: 1s, count: 3, producers: 2, pooled: 0%}"}

// charged wants every attacker to be charged by somebody, and nobody honest; and that no
// block of an honest producer is lost.
func charged(t *testing.T, _, ours *report.Report) {
	require.EqualValues(t, 1, *ours.Attack.ChargedRatio)
	unharmed(t, nil, ours)
}

// evident wants every honest node to keep what convicts the attacker.
func evident(t *testing.T, _, ours *report.Report) {
	require.EqualValues(t, 1, *ours.Attack.EvidenceRatio)
}

func unharmed(t *testing.T, _, ours *report.Report) {
	require.Zero(t, *ours.Attack.HonestCharged)
	require.Equal(t, ours.Block.Expected, ours.Block.Delivered)
	require.Zero(t, *ours.Chain.Lost)
}

// twinned are blocks of producers' own, after connections are old enough for who sends two of
// a turn to be blamed.
var twinned = []string{"settle=12s", "blocks={producers: 3, slot: 1s}"}

// withheld are blocks for long enough that what nobody gave counts as kept back.
var withheld = []string{"txs.for=1s", "blocks={size: 128KiB, tx_size: 8KiB, every: 1s, count: 6, producers: 2, pooled: 0%}", "drain=45s"}

// belated are enough of them for headers that come some slots late.
var belated = []string{"txs.for=1s", "blocks={size: 128KiB, tx_size: 8KiB, every: 1s, count: 24, producers: 2, pooled: 0%}", "drain=45s"}

// blockSieges are those of attackers of blocks.
var blockSieges = []siege{
	{kind: "tampered-list", count: 1, bare: "lenient", changes: sized, harm: all(lasts, charges), defended: charged},
	{kind: "bad-chunks", count: 1, bare: "lenient", changes: sized, harm: all(lasts, charges), defended: charged},
	{kind: "header-flood", count: 1, bare: "lenient", changes: sized, harm: all(lasts, wire(2)), defended: all(evicts, charged)},
	{kind: "equivocator", params: "tells: both", count: 1, bare: "lenient", changes: twinned, harm: all(lasts, charges), defended: all(charged, evident)},
	{kind: "bodiless", params: "headers: one", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
	{kind: "block-withholder", params: "gives: nothing", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
	{kind: "block-withholder", params: "gives: some", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
	{kind: "block-withholder", params: "gives: empty", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
	{kind: "block-withholder", params: "gives: coming", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
	{kind: "bodiless", params: "headers: twins", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: all(charged, evident)},
	{kind: "bodiless", params: "headers: late", count: 1, bare: "lenient", changes: belated, harm: all(lasts, charges), defended: charged},
	{kind: "block-withholder", params: "gives: promises", count: 1, bare: "lenient", changes: withheld, harm: all(lasts, charges), defended: charged},
}

// TestAttacksOnBlocks: the scenarios as they ship.
func TestAttacksOnBlocks(t *testing.T) {
	for _, name := range []string{
		"attack-tampered-list", "attack-bodiless", "attack-bodiless-twins", "attack-bodiless-late", "attack-block-withholder", "attack-block-withholder-coming",
		"attack-bad-chunks", "attack-header-flood", "attack-twin-blocks", "attack-open-twins",
	} {
		t.Run(name, func(t *testing.T) {
			r := holds(t, shipped(t, name))
			require.Zero(t, *r.Attack.HonestCharged)
		})
	}
}
