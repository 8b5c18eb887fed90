package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// cutter decides which peers below the graylist threshold are cut. The router reads and
// drops all that such a peer sends; so there is nothing to lose, and bytes to save.
type cutter struct {
	threshold float64 // constant: of the graylist

	mu    sync.Mutex // guards quota
	quota peerscore.Quota
}

func newCutter(threshold float64, barred time.Duration) *cutter {
	return &cutter{threshold: threshold, quota: peerscore.Quota{Window: barred}}
}

// cuts says whether a peer of that score is to be cut. proven is the part of the score that
// it provably earned: if that alone is below the threshold, nothing is inferred.
func (c *cutter) cuts(now time.Time, score, proven float64, peers int) bool {
	if !(score < c.threshold) {
		return false
	}
	if proven < c.threshold {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quota.Take(now, peers)
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
	if o.cutter.cuts(o.cfg.Now(), score, o.court.proven(p), connected) {
		o.court.ban(p, o.cfg.Limits.CutFor, whyGraylisted)
	}
}
