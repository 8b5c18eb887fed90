package overlay

import (
	"cmp"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
)

const (
	// hungerFor is how long a node that had to ask for a transaction counts as one that its
	// mesh leaves out.
	hungerFor = 10 * time.Second
	// hungerLinks are reconciled with quickly then.
	hungerLinks = 8
)

// hunger is how a node whose mesh passes on nothing feeds itself, while those who would pass
// on something have full meshes and no place for it: it compares again and again with peers
// that speak for themselves. It belongs to the reconciler's mutex.
type hunger struct {
	starved func() bool      // constant: too few peers of the mesh give anything
	pulled  func() time.Time // constant: when the topic last brought what was asked for

	fetched time.Time // something, last
	next    time.Time // when one of the feeders is compared with
	feeders map[peer.ID]time.Time
}

// felt says whether what there is comes by asking.
func (h *hunger) felt(now time.Time) bool {
	last := h.pulled()
	if last.Before(h.fetched) {
		last = h.fetched
	}
	return now.Sub(last) < hungerFor && h.starved()
}

// seat picks whom to compare with: those that we dialled, since nobody else chose them, and
// then those that brought something new of late.
func (h *hunger) seat(now time.Time, peers []member) {
	before := h.feeders
	h.feeders = nil
	if !h.felt(now) {
		return
	}
	h.feeders = make(map[peer.ID]time.Time)
	for _, may := range []func(m *member) bool{
		func(m *member) bool { return m.direction == network.DirOutbound },
		func(m *member) bool { return !m.useful.IsZero() && now.Sub(m.useful) < reserveMemory },
	} {
		for i := range peers {
			if m := &peers[i]; m.txScore >= 0 && len(h.feeders) < hungerLinks && may(m) {
				h.feeders[m.id] = before[m.id]
			}
		}
	}
}

// turn is whose turn it is, of those that are there. Each has one in recon.OpenGap, which is
// what responders put up with, one after the other.
func (h *hunger) turn(now time.Time, there func(p peer.ID) bool) (next peer.ID, ok bool) {
	if now.Before(h.next) {
		return "", false
	}
	var ready []peer.ID
	for p := range h.feeders {
		if there(p) {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		h.next = now.Add(recon.OpenGap)
		return "", false
	}
	next = slices.MinFunc(ready, func(a, b peer.ID) int {
		return cmp.Or(h.feeders[a].Compare(h.feeders[b]), cmp.Compare(a, b))
	})
	h.feeders[next] = now
	h.next = now.Add(recon.OpenGap / time.Duration(len(ready)))
	return next, true
}

// feed compares with the next of those that have a session.
func (r *reconciler) feed(now time.Time) {
	p, ok := r.hunger.turn(now, func(p peer.ID) bool { return r.sessions[reconKey{p, true}] != nil })
	if ok {
		r.stepLocked(r.sessions[reconKey{p, true}], recon.Hasten{})
	}
}
