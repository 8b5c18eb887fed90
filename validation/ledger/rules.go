package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// LateSlots is how many slots a block may be late and still be news. What is
// older comes by sync, where somebody asked for it.
const LateSlots = 8

// DescribeTx decodes the body as a wire.TxBody.
func (l *Ledger) DescribeTx(tx *wire.Transaction) (validation.TxTerms, error) {
	t, body, err := readTransfer(tx)
	if err != nil {
		return validation.TxTerms{}, err
	}
	return validation.TxTerms{
		Sender:    t.from,
		Nonce:     t.nonce,
		Fee:       t.fee,
		Spends:    t.spends(),
		ExpiresAt: body.ExpiresAt,
	}, nil
}

// CheckTxs refuses nonces that the sender has used and what its balance cannot
// pay, each transaction on its own against the head.
func (l *Ledger) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	errs := make([]error, len(txs))
	for i, tx := range txs {
		terms := tx.Terms()
		errs[i] = affords(l.accounts[terms.Sender], terms.Nonce, terms.Spends)
	}
	return errs
}

// CheckHeader checks what needs nothing but genesis first, so that a wrong turn
// is a Fault even where the parent is unknown; then the clock; then the parent.
func (l *Ledger) CheckHeader(_ context.Context, now time.Time, h *wire.HeaderBody, road validation.Road) error {
	if err := l.checkTurn(h); err != nil {
		return err
	}
	if err := l.checkClock(validation.UnixMillis(now), h, road); err != nil {
		return err
	}
	if l.invalid.has(h.Parent) {
		return fmt.Errorf("%w: parent %s", validation.KnownInvalid, h.Parent)
	}
	parent := l.tree[h.Parent]
	if parent == nil {
		return l.noParent(h)
	}
	return checkLink(h, parent.ref)
}

func (l *Ledger) checkTurn(h *wire.HeaderBody) error {
	slot, begun := l.genesis.SlotAt(h.Time)
	switch {
	case !begun || slot != h.Slot:
		return fmt.Errorf("%w: time %d is outside of slot %d", validation.BadHeader, h.Time, h.Slot)
	case h.Height > h.Slot:
		return fmt.Errorf("%w: height %d in slot %d, more blocks than slots", validation.BadHeader, h.Height, h.Slot)
	case h.Producer != l.genesis.ProducerOf(h.Height, h.Slot):
		return fmt.Errorf("%w: slot %d at height %d", validation.BadTurn, h.Slot, h.Height)
	}
	return nil
}

func (l *Ledger) checkClock(nowMillis uint64, h *wire.HeaderBody, road validation.Road) error {
	tolerance := uint64(l.genesis.Limits.ClockToleranceMillis)
	if begins := l.genesis.SlotStart(h.Slot); begins > nowMillis && begins-nowMillis > tolerance {
		return fmt.Errorf("%w: slot %d begins in %d ms", validation.EarlySlot, h.Slot, begins-nowMillis)
	}
	if road != validation.Gossip {
		return nil
	}
	current, begun := l.genesis.SlotAt(nowMillis - min(nowMillis, tolerance))
	if begun && current > h.Slot && current-h.Slot > LateSlots {
		return fmt.Errorf("%w: slot %d, %d slots ago", validation.LateSlot, h.Slot, current-h.Slot)
	}
	return nil
}

func (l *Ledger) noParent(h *wire.HeaderBody) error {
	if final := l.Final().Height; h.Height <= final {
		return fmt.Errorf("%w: height %d, final is %d", validation.BelowFinal, h.Height, final)
	}
	return fmt.Errorf("%w: %s at height %d", validation.UnknownParent, h.Parent, h.Height-1)
}

// checkLink checks what follows from a header and its parent.
func checkLink(h *wire.HeaderBody, parent Ref) error {
	switch {
	case h.Height != parent.Height+1:
		return fmt.Errorf("%w: height %d on a parent of height %d", validation.BadHeader, h.Height, parent.Height)
	case h.Slot <= parent.Slot:
		return fmt.Errorf("%w: slot %d on a parent of slot %d", validation.BadHeader, h.Slot, parent.Slot)
	}
	return nil
}
