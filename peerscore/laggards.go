package peerscore

import (
	"cmp"
	"slices"
)

// Reading is what a node saw of one peer's reading over some seconds.
type Reading struct {
	Peer    PeerID
	Sent    int  // messages that were queued for it
	Dropped int  // and that did not fit, since it did not read
	Stuck   bool // what is queued for it did not move all the while
}

// Bounds of what is nobody's fault.
const (
	laggardLeast   = 20   // messages, or nothing can be said of shares
	laggardShare   = 0.1  // dropped, beyond four times the median's
	laggardPeers   = 4    // with fewer there is no median
	ourOwnFailure  = 0.05 // the median's share from which on our uplink is full
	laggardOutlier = 4
)

// Laggards are the peers, in the order given, that do not read what they are
// sent while the others do. Nobody is one where the median peer is stuck or
// drops too: then it is our own uplink.
func Laggards(readings []Reading) []PeerID {
	if len(readings) < laggardPeers {
		return nil
	}
	shares, stuck := make([]float64, len(readings)), 0
	for i, r := range readings {
		if r.Sent+r.Dropped >= laggardLeast {
			shares[i] = float64(r.Dropped) / float64(r.Sent+r.Dropped)
		}
		if r.Stuck {
			stuck++
		}
	}
	sorted := slices.SortedFunc(slices.Values(shares), cmp.Compare[float64])
	median := sorted[len(sorted)/2]
	if median >= ourOwnFailure || 2*stuck >= len(readings) {
		return nil
	}
	var out []PeerID
	for i, r := range readings {
		if r.Stuck || shares[i] >= laggardShare+laggardOutlier*median {
			out = append(out, r.Peer)
		}
	}
	return out
}
