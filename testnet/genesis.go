package testnet

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// demoWallets is more than the senders of the larger block, so that passes
// over the blocks share some senders and not others.
const demoWallets = 512

// walletFunds lets a wallet send the largest fee of the samples a hundred
// thousand times, and keeps the sum within a genesis' bound.
const walletFunds = 10_000_000_000_000

// demoGenesis describes a fresh network whose first slot begins at start.
// Producers' keys come after the wallets' in the same sequence.
func demoGenesis(o DemoOptions, start time.Time) (g *wire.Genesis, wallets, producers []ed25519.PrivateKey, err error) {
	keys := shapes.Wallets(o.Seed, demoWallets+o.Producers)
	wallets, producers = keys[:demoWallets], keys[demoWallets:]
	g = &wire.Genesis{
		Network:       "demo",
		AddressPrefix: "gvdemo",
		Time:          uint64(start.UnixMilli()),
		SlotMillis:    uint32(o.Slot.Milliseconds()),
		Producers:     []wire.ProducerSet{{}},
		Rules:         []wire.RuleChange{{Version: wire.HeaderVersion}},
		Limits:        wire.DefaultLimits(),
	}
	for _, key := range producers {
		g.Producers[0].Producers = append(g.Producers[0].Producers, shapes.Address(key))
	}
	for _, key := range wallets {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: shapes.Address(key), Amount: walletFunds})
	}
	slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	if err := g.Validate(); err != nil {
		return nil, nil, nil, fmt.Errorf("make the genesis: %w", err)
	}
	return g, wallets, producers, nil
}
