package peerscore

import (
	"errors"
	"fmt"
	"math"
)

// Thresholds are the scores at which GossipSub changes how it treats a peer.
type Thresholds struct {
	Gossip             float64 // below: no gossip to or from the peer; < 0
	Publish            float64 // below: nothing of ours is published to it; <= Gossip
	Graylist           float64 // below: its messages are not even read; <= Publish
	AcceptPX           float64 // from here on its peer exchange is believed
	OpportunisticGraft float64 // a mesh whose median is below looks for better peers
}

// DefaultThresholds returns the thresholds that belong to [DefaultConfig].
//
// The three negative ones double from step to step, as Prysm's and
// Lighthouse's do. Peer exchange is asked for more than any peer can reach
// (Grapevine exchanges peers elsewhere). Grafting for better peers starts
// where the median peer of a mesh earns a tenth of what topics can give:
// Prysm's and Lotus' ratio.
func DefaultThresholds() Thresholds {
	return Thresholds{
		Gossip:             -40,
		Publish:            -80,
		Graylist:           -160,
		AcceptPX:           1000,
		OpportunisticGraft: 2,
	}
}

// Validate reports every reason why the thresholds cannot be used.
func (t Thresholds) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("peerscore: "+format, args...))
	}
	if !(t.Gossip < 0) {
		refuse("Gossip threshold is %v, want < 0", t.Gossip)
	}
	if !(t.Publish <= t.Gossip) {
		refuse("Publish threshold is %v, want <= Gossip", t.Publish)
	}
	if !(t.Graylist <= t.Publish) || math.IsInf(t.Graylist, -1) {
		refuse("Graylist threshold is %v, want a number <= Publish", t.Graylist)
	}
	if !positive(t.AcceptPX) {
		refuse("AcceptPX threshold is %v, want a number > 0", t.AcceptPX)
	}
	if !(t.OpportunisticGraft >= 0) || math.IsInf(t.OpportunisticGraft, 1) {
		refuse("OpportunisticGraft threshold is %v, want a number >= 0", t.OpportunisticGraft)
	}
	return errors.Join(errs...)
}
