package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// fillerExpiry marks the transactions that pools are filled with: they are
// block content, not load. It is in the year 2100.
const fillerExpiry = 4_102_444_800_000

// loadExpiry is for load whose exact size needs a few bytes more; any far time
// but fillerExpiry.
const loadExpiry = fillerExpiry - 1

// mint makes signed transactions of an exact size. Each has a sender of its
// own, so that none has to wait for another: what is measured is relaying, not
// the order of nonces. Senders own nothing and pay nothing, which the genesis
// of the run allows. Not safe for concurrent use.
type mint struct {
	network wire.NetworkID
	rng     *rand.Rand
}

// tx makes a transaction of size bytes that expires at the given time, zero
// for never.
func (m *mint) tx(size int, expires uint64) (*wire.Transaction, error) {
	var seed [ed25519.SeedSize]byte
	for i := 0; i < len(seed); i += 8 {
		binary.LittleEndian.PutUint64(seed[i:], m.rng.Uint64())
	}
	return m.of(ed25519.NewKeyFromSeed(seed[:]), wire.TxBody{ExpiresAt: expires}, size)
}

// of makes a transaction of size bytes that is somebody's.
func (m *mint) of(key ed25519.PrivateKey, body wire.TxBody, size int) (*wire.Transaction, error) {
	body.Version, body.Sender = wire.TxVersion, shapes.Address(key)
	if !m.pad(&body, size) {
		return nil, fmt.Errorf("no transaction has exactly %d bytes", size)
	}
	return wire.SignTx(m.network, key, &body), nil
}

// load makes a transaction of the load: of the size asked for, or of the next
// larger one that exists.
func (m *mint) load(size int) *wire.Transaction {
	for ; ; size++ {
		for _, expires := range []uint64{0, loadExpiry} {
			if tx, err := m.tx(size, expires); err == nil {
				return tx
			}
		}
	}
}

// pad gives body a random payload so that its transaction has size bytes.
func (m *mint) pad(body *wire.TxBody, size int) bool {
	for n := size - sizeOf(body); n >= 0; n-- {
		body.Payload = make([]byte, n)
		over := sizeOf(body) - size
		if over == 0 {
			for i := range body.Payload {
				body.Payload[i] = byte(m.rng.Uint32())
			}
			return true
		}
		if over < 0 {
			return false
		}
		n -= over - 1
	}
	return false
}

func sizeOf(body *wire.TxBody) int {
	return wire.NewTransaction(body.AppendTo(nil), wire.Signature{}).Size()
}

// genesisOf describes the network of a run whose blocks begin at start, with a
// slot beginning just then. Producers make one block a slot, and none after
// the last that was asked for.
func genesisOf(s *scenario.Scenario, start time.Time, producers []ed25519.PrivateKey) (*wire.Genesis, error) {
	slot := slotOf(s.Blocks)
	g := &wire.Genesis{
		Network: "sim", AddressPrefix: "gvsim",
		Time:       uint64(start.Add(-slot).UnixMilli()),
		SlotMillis: uint32(slot.Milliseconds()),
		Rules:      []wire.RuleChange{{Version: wire.HeaderVersion}},
		Limits:     wire.DefaultLimits(),
		Producers:  []wire.ProducerSet{{Height: 0}},
	}
	g.Limits.MinFeePerByte = 0 // most senders own nothing
	if s.Txs.Shapes == scenario.ShapesMainnet {
		for _, key := range crowdWallets(s.Seed) {
			g.Allocations = append(g.Allocations, wire.Allocation{Address: shapes.Address(key), Amount: crowdFunds})
		}
		slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	}
	if payers := payersOf(s); len(payers) > 0 {
		g.Limits.MaxBlockTxs = uint32(len(payers))
		for _, key := range payers {
			g.Allocations = append(g.Allocations, wire.Allocation{Address: shapes.Address(key), Amount: crowdFunds})
		}
		slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	}
	for _, key := range producers {
		g.Producers[0].Producers = append(g.Producers[0].Producers, shapes.Address(key))
	}
	nobody := shapes.Address(shapes.Wallets(s.Seed, s.Nodes+1)[s.Nodes])
	switch {
	case len(producers) == 0:
		g.Producers[0].Producers = []wire.Address{nobody}
	case s.Blocks.Count > 0:
		last := uint64(s.Blocks.Count-1)*slotsPerBlock(s.Blocks) + 1
		g.Producers = append(g.Producers, wire.ProducerSet{Height: last + 1, Producers: []wire.Address{nobody}})
	}
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("make the genesis: %w", err)
	}
	return g, nil
}

// slotOf is the length of a slot; without blocks, so long that nobody misses
// them.
func slotOf(b scenario.Blocks) time.Duration {
	switch {
	case b.Slot > 0:
		return b.Slot
	case b.Every > 0:
		return b.Every
	}
	return wire.MaxSlot
}

// slotsPerBlock is how many slots pass from one block with content to the
// next; those between are empty.
func slotsPerBlock(b scenario.Blocks) uint64 { return max(1, uint64(b.Every/slotOf(b))) }

// crowdFunds let a wallet send all day, and keep the sum of all within a
// genesis' bound.
const crowdFunds = 1_000_000_000_000_000

// payersOf are the senders of each block's content where transactions begin later than blocks:
// they pay for it, and nothing else fits in, so that blocks are the same before that and since.
// Nil where there is nothing to be the same.
func payersOf(s *scenario.Scenario) []ed25519.PrivateKey {
	if _, _, ok := s.Overlap(); !ok || s.Txs.From < s.Blocks.From {
		return nil
	}
	return shapes.Wallets(s.Seed|1<<61, s.Blocks.Size/s.Blocks.TxSize)
}

// filler makes the content of block k, of payers if there are any.
func (m *mint) filler(c *validation.Checker, b scenario.Blocks, payers []ed25519.PrivateKey, k int) ([]validation.CheckedTx, error) {
	txs := make([]validation.CheckedTx, 0, b.Size/b.TxSize)
	for i := range b.Size / b.TxSize {
		var tx *wire.Transaction
		var err error
		if len(payers) > 0 {
			tx, err = m.of(payers[i], wire.TxBody{Nonce: uint64(k), Fee: uint64(b.TxSize), ExpiresAt: fillerExpiry}, b.TxSize)
		} else {
			tx, err = m.tx(b.TxSize, fillerExpiry)
		}
		if err != nil {
			return nil, fmt.Errorf("blocks.tx_size: %w", err)
		}
		checked, err := c.Sound(tx.Bytes())
		if err != nil {
			return nil, fmt.Errorf("make block content: %w", err)
		}
		txs = append(txs, checked)
	}
	return txs, nil
}

// blob is a block for participants that do not make any: size random bytes.
func (m *mint) blob(size int) Message {
	b := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], m.rng.Uint64())
	}
	return Message{Kind: Block, ID: sha256.Sum256(b), Data: b}
}
