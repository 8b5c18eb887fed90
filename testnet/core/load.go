package core

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// MaxWallets bounds who sends transactions, since every node keeps an account
// for each. With more origins than that, so many of them send.
const MaxWallets = 1024

// funds lets a wallet send all day, and keeps the sum of as many as there may
// be within a genesis' bound.
const funds = 1_000_000_000_000_000

// keys are those of a run: wallets, producers, and one nobody has.
type keys struct {
	wallets, producers []ed25519.PrivateKey
	nobody             wire.Address
}

func newKeys(s *scenario.Scenario, wallets, producers int) keys {
	all := shapes.Wallets(s.Seed, wallets+producers+1)
	return keys{all[:wallets], all[wallets : wallets+producers], shapes.Address(all[wallets+producers])}
}

// genesisOf describes a network whose load begins at start: the first slot
// with a block begins just then, and slots before it had nobody.
func genesisOf(s *scenario.Scenario, k keys, start time.Time) (*wire.Genesis, error) {
	slot := s.Blocks.Slot
	switch {
	case s.Blocks.Every > 0:
		slot = s.Blocks.Every
	case slot == 0:
		slot = wire.MaxSlot
	}
	g := &wire.Genesis{
		Network: "core", AddressPrefix: "gvcore",
		Time:       uint64(start.Add(-slot).UnixMilli()),
		SlotMillis: uint32(slot.Milliseconds()),
		Rules:      []wire.RuleChange{{Version: wire.HeaderVersion}},
		Limits:     wire.DefaultLimits(),
		Producers:  []wire.ProducerSet{{Producers: []wire.Address{k.nobody}}},
	}
	if len(k.producers) > 0 {
		g.Producers[0].Producers = nil
		for _, key := range k.producers {
			g.Producers[0].Producers = append(g.Producers[0].Producers, shapes.Address(key))
		}
	}
	if s.Blocks.Count > 0 {
		g.Limits.MinFeePerByte = 0 // who fills blocks owns nothing
	}
	for _, key := range k.wallets {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: shapes.Address(key), Amount: funds})
	}
	slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("make the genesis: %w", err)
	}
	return g, nil
}

// load hands in transactions: each wallet at a node of its own, so that the
// order of its nonces is the order in which they are sent.
type load struct {
	shapes *shapes.Load
	nonces []uint64 // by wallet
	homes  []int    // by wallet: a node
	every  time.Duration
	from   time.Duration
	count  int
	sent   int
}

// newLoad prepares the load of a scenario for the given origins; nil without.
func newLoad(s *scenario.Scenario, k keys, network wire.NetworkID, origins []int, from time.Duration) (*load, error) {
	if s.Txs.PerSecond == 0 {
		return nil, nil
	}
	samples := []shapes.Sample{{Name: "fixed", Rows: []shapes.Row{{Size: s.Txs.Size}}}}
	if s.Txs.Shapes != "" {
		var err error
		if samples, err = shapes.Mainnet(); err != nil {
			return nil, err
		}
	}
	made, err := shapes.New(shapes.Config{Seed: s.Seed, Samples: samples, Wallets: k.wallets, Network: network, MinFeePerByte: 1})
	if err != nil {
		return nil, err
	}
	l := &load{
		shapes: made, nonces: make([]uint64, len(k.wallets)), homes: make([]int, len(k.wallets)),
		every: time.Duration(float64(time.Second) / s.Txs.PerSecond), from: from,
		count: int(s.Txs.PerSecond * s.Txs.For.Seconds()),
	}
	for i := range l.homes {
		l.homes[i] = origins[i%len(origins)]
	}
	return l, nil
}

// wallets is how many wallets a scenario needs for so many origins.
func wallets(s *scenario.Scenario, origins int) (int, error) {
	if s.Txs.PerSecond == 0 {
		return 1, nil
	}
	n := min(origins, MaxWallets)
	if s.Txs.Shapes != "" {
		samples, err := shapes.Mainnet()
		if err != nil {
			return 0, err
		}
		for _, sample := range samples {
			n = max(n, sample.Senders())
		}
	}
	return n, nil
}

// next is when the next transaction is handed in; they are evenly spread.
func (l *load) next() (at time.Duration, ok bool) {
	if l == nil || l.sent >= l.count {
		return 0, false
	}
	return l.from + l.every/2 + time.Duration(l.sent)*l.every, true
}

// draw makes the next transaction of some wallet whose home is up. It is nil
// where no home is.
func (l *load) draw(network wire.NetworkID, up func(node int) bool) (m *Message, home int) {
	l.sent++
	for range 2 * len(l.homes) {
		d := l.shapes.Next()
		if home = l.homes[d.Wallet]; up(home) {
			tx := l.shapes.Sign(d, l.nonces[d.Wallet])
			l.nonces[d.Wallet]++
			return content(network, Tx, tx.Bytes()), home
		}
	}
	return nil, 0
}

// filler makes the transactions of blocks of a given size. Each has a sender
// of its own, who owns nothing and pays nothing.
func filler(s *scenario.Scenario, network wire.NetworkID, j *judge) func(slot uint64) ([]validation.CheckedTx, error) {
	if s.Blocks.Count == 0 {
		return nil
	}
	return func(slot uint64) ([]validation.CheckedTx, error) {
		rng := stream(s.Seed, forFill, int(slot))
		txs := make([]validation.CheckedTx, 0, s.Blocks.Size/s.Blocks.TxSize)
		for range s.Blocks.Size / s.Blocks.TxSize {
			var seed [ed25519.SeedSize]byte
			for i := 0; i < len(seed); i += 8 {
				binary.LittleEndian.PutUint64(seed[i:], rng.Uint64())
			}
			key := ed25519.NewKeyFromSeed(seed[:])
			body := &wire.TxBody{Version: wire.TxVersion, Sender: shapes.Address(key)}
			bare := wire.NewTransaction(body.AppendTo(nil), wire.Signature{}).Size()
			body.Payload = make([]byte, max(0, s.Blocks.TxSize-bare-3)) // a tag and lengths that grow
			for i := range body.Payload {
				body.Payload[i] = byte(rng.Uint32())
			}
			tx, err := j.checker.Sound(wire.SignTx(network, key, body).Bytes())
			if err != nil {
				return nil, fmt.Errorf("fill a block: %w", err)
			}
			txs = append(txs, tx)
		}
		return txs, nil
	}
}
