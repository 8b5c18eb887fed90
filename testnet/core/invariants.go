package core

import (
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Violation is an invariant that does not hold. Run wraps it in an error that
// says when, where and with which seed.
type Violation string

// The invariants.
const (
	Supply       Violation = "the supply is constant"
	Finality     Violation = "nobody rolls back a final block"
	OpenLinks    Violation = "only what was sent over an open link is delivered"
	Conservation Violation = "messages sent are those that arrived, were lost, were cut or are in flight"
	Honesty      Violation = "an honest node sends content that it has"
	Blameless    Violation = "an honest node is never blamed by another"
	Bounds       Violation = "what peers can make grow stays within its bounds"
	OnTime       Violation = "time does not run backwards"
)

// Error returns the invariant.
func (v Violation) Error() string { return "invariant broken: " + string(v) }

// check says whether the counts add up.
func (t tally) check() error {
	if t.flying < 0 || t.sent != t.arrived+t.lost+t.cut+t.flying {
		return fmt.Errorf("%w: %d sent, %d arrived, %d lost, %d cut, %d in flight", Conservation, t.sent, t.arrived, t.lost, t.cut, t.flying)
	}
	return nil
}

// audit follows the ledger of one node and holds it to what it promises,
// without asking it.
type audit struct {
	final  uint64
	blocks map[uint64]wire.BlockID // final ones, by height
}

func newAudit(genesis ledger.Ref) audit {
	return audit{blocks: map[uint64]wire.BlockID{genesis.Height: genesis.ID}}
}

// change checks what a new block is about to change.
func (a *audit) change(l *ledger.Ledger, c *ledger.Change) error {
	sum := uint64(0) // wraps around, and back to zero if nothing was made or lost
	for _, s := range c.Accounts {
		sum += s.Balance - l.Account(s.Address).Balance
	}
	if sum != 0 {
		return fmt.Errorf("%w: block %s changes it by %d", Supply, c.Block.ID, int64(sum))
	}
	for _, ref := range c.RolledBack {
		if ref.Height <= a.final {
			return fmt.Errorf("%w: block %s at height %d, final is %d", Finality, ref.ID, ref.Height, a.final)
		}
	}
	for _, ref := range c.NewlyFinal {
		if was, ok := a.blocks[ref.Height]; ok && was != ref.ID || ref.Height > a.final+1 {
			return fmt.Errorf("%w: block %s becomes final at height %d, final is %d", Finality, ref.ID, ref.Height, a.final)
		}
		a.blocks[ref.Height] = ref.ID
		a.final = max(a.final, ref.Height)
	}
	if c.Final.Height < a.final {
		return fmt.Errorf("%w: final falls from height %d to %d", Finality, a.final, c.Final.Height)
	}
	return nil
}

// whole adds up all balances. It takes its time: once, at the end.
func whole(l *ledger.Ledger) error {
	sum := uint64(0)
	for _, s := range l.Save().Accounts {
		sum += s.Balance
	}
	if sum != l.Supply() {
		return fmt.Errorf("%w: %d, genesis says %d", Supply, sum, l.Supply())
	}
	return nil
}

// checkPool holds a pool to its configuration.
func checkPool(p *mempool.Pool, c mempool.Config) error {
	if n, b := p.Len(), p.Bytes(); n < 0 || n > c.MaxCount || b < 0 || b > c.MaxBytes {
		return fmt.Errorf("%d transactions of %d bytes pooled, want at most %d of %d", n, b, c.MaxCount, c.MaxBytes)
	}
	return nil
}

// inBounds turns what a machine says of itself into a violation.
func inBounds(err error) error {
	var v Violation
	if err == nil || errors.As(err, &v) {
		return err
	}
	return fmt.Errorf("%w: %w", Bounds, err)
}
