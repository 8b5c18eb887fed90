package overlay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// MemberInfo is what this node knows of another node of the network, connected or not.
type MemberInfo struct {
	ID          peer.ID
	State       swim.State
	Since       time.Time             // of the state
	Proof       time.Time             // when last something proved to us that it lives
	Addrs       []multiaddr.Multiaddr // as its record says, as far as this node knows their kinds
	Incarnation uint64                // sequence number of its record
	Linked      bool                  // we have a link to it
}

// MemberStats are the numbers of membership: what is, and totals since the start.
type MemberStats struct {
	Size                 int // of the network, this node included; an estimate where not all fit the view
	Links                int // streams that speak member/1
	Alive, Suspect, Dead int // members in the view, this node not included

	swim.Counts
	Sent, Received uint64 // bytes of frames
	Unsent         uint64 // frames that were not sent because a peer does not read, or used up its share
}

// Members is the view of the network by peer id, the dead included and this node not. It is
// empty where Config.Members is not set.
func (o *Overlay) Members() []MemberInfo {
	m := o.members
	if m == nil {
		return nil
	}
	m.mu.Lock()
	list := m.machine.Members()
	m.mu.Unlock()
	out := make([]MemberInfo, len(list))
	for i, s := range list {
		out[i] = MemberInfo{
			ID: peer.ID(s.Record.Peer), State: s.State, Since: s.Since, Proof: s.Proof,
			Incarnation: s.Record.Seq, Linked: s.Link,
		}
		if r, err := readRecord(s.Record.Sealed); err == nil {
			out[i].Addrs = r.known()
		}
	}
	return out
}

// MemberStats are the numbers of membership, zero where Config.Members is not set.
func (o *Overlay) MemberStats() MemberStats {
	m := o.members
	if m == nil {
		return MemberStats{}
	}
	m.mu.Lock()
	out := MemberStats{Size: m.machine.Size(), Links: len(m.links), Counts: m.machine.Counts()}
	list := m.machine.Members()
	m.mu.Unlock()
	for _, s := range list {
		switch s.State {
		case swim.Alive:
			out.Alive++
		case swim.Suspect:
			out.Suspect++
		case swim.Dead:
			out.Dead++
		case swim.Unknown:
		}
	}
	out.Sent, out.Received, out.Unsent = m.sent.Load(), m.received.Load(), m.unsent.Load()
	return out
}

// silence is for how long a linked peer has owed us an answer, 0 if it owes none. m may be nil.
func (m *members) silence(p peer.ID) time.Duration {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine.Silence(peerscore.PeerID(p))
}
