package dial

import (
	"cmp"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// MaxAnchors is how many anchors are remembered. Only a few are dialled at a
// time; the others stand in for those that are gone. With a fifth of all peers
// down, all of sixteen are down once in 10^11 restarts.
const MaxAnchors = 16

// leastService is what an anchor has served at least: less says nothing.
const leastService = time.Minute

// anchor is a peer that we chose and that served us long.
type anchor struct {
	addr   Address
	served time.Duration // in whole seconds, over all its links; halved with each failure
	pause  pause
}

// credit adds to the service of an outbound link's peer the time since it was
// last credited. Of the anchors of one group only the best is kept, so that
// anchors are as diverse as the links were.
func (k *Keeper) credit(now time.Time, l *link) {
	served := now.Sub(l.since).Truncate(time.Second)
	if !l.outbound() || served < leastService {
		return
	}
	l.since = l.since.Add(served)
	if n := k.anchorOf(l.addr); n != nil {
		n.served += served
	} else {
		k.anchors = append(k.anchors, anchor{addr: l.addr, served: served})
	}
	k.trimAnchors()
}

// weaken halves the service of an anchor that did not answer.
func (k *Keeper) weaken(a Address) {
	k.anchorOf(a).served = (k.anchorOf(a).served / 2).Truncate(time.Second)
	k.trimAnchors()
}

func (k *Keeper) trimAnchors() {
	slices.SortFunc(k.anchors, func(a, b anchor) int {
		return cmp.Or(cmp.Compare(b.served, a.served), a.addr.compare(b.addr))
	})
	in := make(map[Group]int)
	k.anchors = slices.DeleteFunc(k.anchors, func(a anchor) bool {
		g := GroupOf(a.addr.At.Addr())
		in[g]++
		return in[g] > k.config.PerGroup || a.served < leastService
	})
	if len(k.anchors) > MaxAnchors {
		k.anchors = k.anchors[:MaxAnchors]
	}
}

func (k *Keeper) anchorOf(a Address) *anchor {
	for i := range k.anchors {
		if k.anchors[i].addr == a {
			return &k.anchors[i]
		}
	}
	return nil
}

// Serves says whether a peer is an anchor, or would be one if its link ended now and there
// were no better ones.
func (k *Keeper) Serves(now time.Time, p peerscore.PeerID) bool {
	return slices.ContainsFunc(k.anchors, func(a anchor) bool { return a.addr.Peer == p }) ||
		slices.ContainsFunc(k.links, func(l *link) bool {
			return l.addr.Peer == p && l.outbound() && now.Sub(l.since) >= leastService
		})
}

// Anchors returns the peers that would be dialled first after a restart, best
// first.
func (k *Keeper) Anchors() []Address {
	out := make([]Address, len(k.anchors))
	for i, a := range k.anchors {
		out[i] = a.addr
	}
	return out
}
