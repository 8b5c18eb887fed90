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
// suspects. They go on waiting for their answer. Where there is no room for them, they
// stay in the batch.
func (c *collector) setApart(batch []ticket) []ticket {
	return slices.DeleteFunc(batch, func(t ticket) bool {
		if !c.suspect(t.arrival.From) {
			return false
		}
		select {
		case c.apart <- t:
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
		case t := <-c.apart:
			r := c.checkApart(ctx, t)
			if t.answer != nil {
				t.answer <- r
				continue
			}
			c.late(ctx, r, peer.ID(t.arrival.From))
		case <-ctx.Done():
			return
		}
	}
}

func (c *collector) checkApart(ctx context.Context, t ticket) (r validation.TxResult) {
	defer func() {
		if thrown := recover(); thrown != nil {
			r = panicked(thrown)
		}
	}()
	now := c.now()
	arrivals := []validation.Arrival{t.arrival}
	results := c.checker.VerifyTxs(now, arrivals, nil)
	c.checkExpired(arrivals, results, 1)
	c.note(now, t.arrival.From, results[0].Err)
	c.checker.AskTxs(ctx, now, results)
	return c.taken(ctx, results[0], t.arrival.From)
}
