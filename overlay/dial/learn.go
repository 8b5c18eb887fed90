package dial

import (
	"net/netip"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// What one peer may tell us of addresses: some at once, and then one in ten
// seconds, which is Bitcoin Core's rate. The rest is not looked at.
const (
	toldAtOnce = 100
	toldEvery  = 10 * time.Second
)

// allowance is what a peer may still tell.
type allowance struct {
	left float64
	at   time.Time
}

// Learn notes addresses that the connected peer told us of, the peer's own
// included, and returns how many were new to nobody's harm: well formed,
// public, within what the peer may tell, and with room in the book. Addresses
// told by peers that are not connected are not taken.
func (k *Keeper) Learn(now time.Time, from peerscore.PeerID, told []Address) (learnt int) {
	var source netip.Addr
	for _, l := range k.links {
		if l.addr.Peer == from {
			source = l.addr.At.Addr()
		}
	}
	if !source.IsValid() {
		return 0
	}
	may := k.heard[from] // as many as there are links
	if may == nil {
		may = &allowance{left: toldAtOnce, at: now}
		k.heard[from] = may
	}
	may.left = min(toldAtOnce, may.left+float64(now.Sub(may.at))/float64(toldEvery))
	may.at = now
	for _, a := range told {
		if may.left < 1 {
			break
		}
		may.left--
		if (k.config.AllowPrivate || a.Public()) && k.book.Learn(now, a, source) {
			learnt++
		}
	}
	return learnt
}

// Found notes an address from a source that the operator chose, such as mDNS: no
// peer's allowance bounds it, it may lead into the operator's own network, and it
// is its own source.
func (k *Keeper) Found(now time.Time, a Address) bool {
	return a.Near() && k.book.Learn(now, a, a.At.Addr())
}
