package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// cutShare is the part of our peers that may be cut at a time for what the router merely
// holds against them: a fault of our own could make every peer look bad, and a node without
// peers cannot find out.
const cutShare = 4

// cutter decides which peers below the graylist threshold are cut. The router reads and
// drops all that such a peer sends; so there is nothing to lose, and bytes to save.
type cutter struct {
	threshold float64       // constant: of the graylist
	barred    time.Duration // for which a cut peer is kept out

	mu     sync.Mutex // guards what follows
	recent []time.Time
}

// cuts says whether a peer of that score is to be cut. own is the part of the score that
// our own book accounts for: below the threshold by that alone, it did what is proven.
func (c *cutter) cuts(now time.Time, score, own float64, peers int) bool {
	if !(score < c.threshold) {
		return false
	}
	if own < c.threshold {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.recent) > 0 && now.Sub(c.recent[0]) >= c.barred {
		c.recent = c.recent[1:]
	}
	if len(c.recent) >= max(1, peers/cutShare) {
		return false
	}
	c.recent = append(c.recent, now)
	return true
}

// whyGraylisted is the reason of a cut, for the book and for hooks.
const whyGraylisted = "graylisted"

// cutGraylisted cuts a peer if its score asks for that.
func (o *Overlay) cutGraylisted(p peer.ID, score float64) {
	m := o.roster.get(p)
	if m == nil || o.court.isBanned(p) {
		return
	}
	connected := o.roster.count(greeted) + o.roster.count(guest)
	if o.cutter.cuts(o.cfg.Now(), score, o.court.score(p), connected) {
		o.court.ban(p, o.cfg.Limits.CutFor, whyGraylisted)
	}
}
