package core

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// duty is what a producer has to do.
type duty struct {
	key     ed25519.PrivateKey
	address wire.Address
	turn    uint64        // its place in the order of producers
	of      uint64        // producers
	until   time.Duration // no block is made from then on
}

// awaitSlot sets the timer for the first slot of the producer that begins at
// from or after it.
func (n *node) awaitSlot(from time.Duration, out []Action) []Action {
	if n.duty == nil {
		return out
	}
	next := uint64(1)
	if slot, begun := n.genesis.SlotAt(validation.UnixMillis(n.clock(from)) - 1); begun {
		next = slot + 1
	}
	next += (n.duty.turn + n.duty.of - next%n.duty.of) % n.duty.of
	at := time.UnixMilli(int64(n.genesis.SlotStart(next))).Sub(n.epoch)
	if at >= n.duty.until {
		return out
	}
	return append(out, Action{Kind: SetTimer, Timer: slotTimer, At: max(at, from)})
}

// produce makes the block of the slot that begins.
func (n *node) produce(now time.Duration, out []Action) []Action {
	clock := n.clock(now)
	slot, begun := n.genesis.SlotAt(validation.UnixMillis(clock))
	if !begun || slot <= n.state.ledger.Head().Slot {
		return out
	}
	txs, err := n.body(clock, slot)
	if err != nil {
		return append(out, Action{Kind: Broken, Err: err})
	}
	k, err := n.seal(n.state.ledger.Head(), txs, slot)
	if err != nil {
		return append(out, Action{Kind: Broken, Err: err})
	}
	n.gossip.isNew(now, k.message.ID)
	n.state.ledger.Observe(k.block.Header())
	broken, err := n.state.addBlock(clock, k.block, k.message)
	if err := errors.Join(broken, err); err != nil {
		return append(out, Action{Kind: Broken, Err: err})
	}
	return n.gossip.spread(k.message, -1, append(out, Action{Kind: Made, Message: k.message}))
}

func (n *node) body(clock time.Time, slot uint64) ([]validation.CheckedTx, error) {
	if n.fill != nil {
		return n.fill(slot)
	}
	return n.state.template(clock, n.genesis.Limits), nil
}

// seal signs a block of these transactions on the given one.
func (n *node) seal(on ledger.Ref, txs []validation.CheckedTx, slot uint64) (kept, error) {
	body := &wire.HeaderBody{
		Version: n.genesis.VersionAt(on.Height + 1), Height: on.Height + 1, Parent: on.ID,
		Producer: n.duty.address, FeeRecipient: n.duty.address,
		Slot: slot, Time: n.genesis.SlotStart(slot), TxCount: uint32(len(txs)),
	}
	binary.LittleEndian.PutUint64(body.Salt[:8], n.rng.Uint64())
	binary.LittleEndian.PutUint64(body.Salt[8:], n.rng.Uint64())
	parts := make([]validation.Part, len(txs))
	ids := make([]wire.TxID, len(txs))
	for i, tx := range txs {
		parts[i].Checked, ids[i] = tx, tx.ID()
		body.Size += uint32(tx.Size())
	}
	body.TxRoot = wire.TxRoot(ids)
	body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, ids))
	b, err := n.judge.seal(wire.SignHeader(n.id, n.duty.key, body), parts)
	if err != nil {
		return kept{}, err
	}
	return kept{b, content(n.id, Block, b.Block().AppendTo(nil))}, nil
}
