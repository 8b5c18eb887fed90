package overlay

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

// suspect says whether what p sends is verified apart.
func (c *collector) suspect(p peerscore.PeerID) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.suspects.Has(now, p)
}

// note makes p a suspect if err is a bad signature.
func (c *collector) note(now time.Time, p peerscore.PeerID, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspects.Note(now, p, err)
}

// setApart puts aside what suspects have in a batch that was formed before they were
// suspects, and tells who waits for it. Where there is no room for it, it stays in the batch.
func (c *collector) setApart(batch []ticket) []ticket {
	return slices.DeleteFunc(batch, func(t ticket) bool {
		if !c.suspect(t.arrival.From) {
			return false
		}
		select {
		case c.apart <- t.arrival:
			t.answer <- validation.TxResult{Err: errApart}
			return true
		default:
			return false
		}
	})
}

// runApart verifies what suspects sent, one by one, until ctx ends. It is a single
// goroutine: whatever they send, they have one core at most, and only its share of it.
func (c *collector) runApart(ctx context.Context) {
	for {
		select {
		case a := <-c.apart:
			c.late(ctx, c.checkApart(ctx, a), peer.ID(a.From))
		case <-ctx.Done():
			return
		}
	}
}

func (c *collector) checkApart(ctx context.Context, a validation.Arrival) (r validation.TxResult) {
	defer func() {
		if thrown := recover(); thrown != nil {
			r = panicked(thrown)
		}
	}()
	now := c.now()
	arrivals := []validation.Arrival{a}
	results := c.checker.VerifyTxs(now, arrivals, nil)
	c.checkExpired(arrivals, results, 1)
	c.note(now, a.From, results[0].Err)
	c.checker.AskTxs(ctx, now, results)
	return c.taken(ctx, results[0], a.From)
}
