package overlay

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// maxGlanced and maxGlancedBytes bound what is remembered of what was refused at a glance:
	// the spam of a minute at 200 transactions a second, and one large transaction beside it.
	maxGlanced      = 1 << 14
	maxGlancedBytes = 4 << 20
)

// glanced remembers the last transactions that the pool refused at a glance. A block may hold them
// all the same: its producer has another pool, and takes for granted that a neighbour knows what
// it was sent. Nobody looked at their signatures, so that is done for what a block names. It is
// safe for concurrent use.
type glanced struct {
	verify func(now time.Time, arrivals []validation.Arrival, glance validation.Glance) []validation.TxResult // constant

	mu    sync.Mutex // guards what follows
	order []unverified
	known map[wire.TxID]struct{}
	bytes int
}

// unverified is a transaction that was decoded and nothing more.
type unverified struct {
	id  wire.TxID
	raw []byte
}

func newGlanced(checker txChecker) *glanced {
	return &glanced{verify: checker.VerifyTxs, known: make(map[wire.TxID]struct{})}
}

// note remembers what a glance refused, if it was that: what is known is had elsewhere, and what
// has expired belongs in no block.
func (g *glanced) note(raw []byte, r validation.TxResult) {
	if r.Err == nil || validation.Judge(r.Err) != validation.Ignore ||
		errors.Is(r.Err, validation.AlreadyKnown) || errors.Is(r.Err, validation.Expired) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.known[r.ID]; known || r.ID == (wire.TxID{}) {
		return
	}
	g.known[r.ID] = struct{}{}
	g.order = append(g.order, unverified{r.ID, bytes.Clone(raw)})
	g.bytes += len(raw)
	for len(g.order) > maxGlanced || g.bytes > maxGlancedBytes {
		old := g.order[0]
		g.order[0] = unverified{}
		g.order = g.order[1:]
		g.bytes -= len(old.raw)
		delete(g.known, old.id)
	}
}

// match finds what is remembered by its short ids under a block's salt, and verifies it.
func (g *glanced) match(now time.Time, salt wire.Salt, want []wire.ShortID) (found []validation.CheckedTx) {
	for _, r := range g.verify(now, g.named(salt, want), nil) {
		if r.Err == nil {
			found = append(found, r.Checked)
		}
	}
	return found
}

func (g *glanced) named(salt wire.Salt, want []wire.ShortID) (named []validation.Arrival) {
	if len(want) == 0 {
		return nil
	}
	wanted := make(map[wire.ShortID]bool, len(want))
	for _, id := range want {
		wanted[id] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tx := range g.order {
		if wanted[wire.ShortIDOf(salt, tx.id)] {
			named = append(named, validation.Arrival{Raw: tx.raw})
		}
	}
	return named
}

// known lists what this node has of a block's transactions: in the pool, or refused at a glance.
func (b *blockRoad) known(salt wire.Salt, ids []wire.ShortID) []validation.CheckedTx {
	pooled := b.cfg.Pool.Match(salt, ids)
	has := make(map[wire.ShortID]bool, len(pooled))
	for _, tx := range pooled {
		has[wire.ShortIDOf(salt, tx.ID())] = true
	}
	lacking := slices.DeleteFunc(slices.Clone(ids), func(id wire.ShortID) bool { return has[id] })
	return append(pooled, b.glanced.match(b.cfg.Now(), salt, lacking)...)
}
