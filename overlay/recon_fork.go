package overlay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
)

const (
	// rollbackCalm is how long after a rollback peers that are not known to be on our chain
	// are told of what it gave back: until they have rolled it back as well, they would be
	// told all of it in vain, and keep us from telling those who need it.
	rollbackCalm = 2 * time.Second
	// forkCalm is for how long a new session with a peer on another branch leaves much that
	// differs alone: soon one of the two rolls back, and what that gives back would take
	// another large exchange. A branch takes little longer than that to fetch, or much longer.
	forkCalm = 3 * time.Second
	// muchFor is for how long after much came in at once new sessions expect to tell much.
	muchFor = 5 * time.Second
)

// leave keeps a session from large exchanges until then, or until the peer is on our chain.
func (s *reconSession) leave(until time.Time) {
	s.forked = until
	s.machine.Leave(until)
}

// await has a session that we opened wait until the peer and we are on one chain, and ask
// for a large exchange with care where one is to be expected.
func (r *reconciler) await(now time.Time, s *reconSession) {
	if !s.key.asks {
		return
	}
	s.apart = r.roster.snapshot(s.key.peer).best.height > 0 && !r.onOurChain(s.key.peer)
	if s.apart {
		s.leave(now.Add(forkCalm))
	}
	if s.apart || now.Sub(r.much) < muchFor {
		r.stepLocked(s, recon.Hasten{Much: true})
	}
}

// rejoin lets sessions go on whose peers are on our chain now, or that waited long enough.
func (r *reconciler) rejoin(now time.Time) {
	for _, s := range r.sessions {
		if s.forked.IsZero() || now.Before(s.forked) && !r.onOurChain(s.key.peer) {
			continue
		}
		s.leave(time.Time{})
		if s.key.asks {
			r.stepLocked(s, recon.Hasten{Much: true})
		}
	}
}

// hastenRolled tells those of what a rollback gave back, once, who were on another branch and
// are on our chain now. Others had our branch, and give it back themselves.
func (r *reconciler) hastenRolled() {
	if !r.rolled {
		return
	}
	r.rolled = false
	for _, s := range r.sessions {
		if s.key.asks && s.apart && r.onOurChain(s.key.peer) {
			s.apart = false
			r.stepLocked(s, recon.Hasten{Much: true})
		}
	}
}

// onOurChain says whether the last that is known of a peer's head is in our chain.
func (r *reconciler) onOurChain(p peer.ID) bool {
	return onBestChain(r.cfg.Chain, r.roster.snapshot(p).best)
}
