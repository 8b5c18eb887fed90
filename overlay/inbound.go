package overlay

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// connsPerPeer is how many connections one peer may have to us: one that either side opened
// at the same moment as the other, and no more. The oldest goes first, since it may be of
// a process that died.
const connsPerPeer = 2

// arrived keeps connections within bounds when one came in.
func (k *keeper) arrived(c network.Conn) {
	if c.Stat().Direction != network.DirInbound {
		return
	}
	conns := k.host.Network().ConnsToPeer(c.RemotePeer())
	if len(conns) > connsPerPeer {
		oldest := conns[0]
		for _, other := range conns[1:] {
			if other.Stat().Opened.Before(oldest.Stat().Opened) {
				oldest = other
			}
		}
		k.crew.spawn(func() { _ = oldest.Close() })
	}
	k.makeRoom(c.RemotePeer())
}

// makeRoom sends one of those who dialled us away if there are too many now that newcomer
// is among them; the newcomer itself only if all others are protected.
func (k *keeper) makeRoom(newcomer peer.ID) {
	k.mu.Lock()
	links := k.roster.inbound(func(p peer.ID) bool {
		_, kept := k.kept[p]
		return !kept && p != newcomer && k.core.Why(peerscore.PeerID(p)) == 0
	})
	if len(links) < k.cfg.Inbound {
		k.mu.Unlock()
		return
	}
	out := newcomer
	if p, ok := k.core.Evict(links); ok {
		out = peer.ID(p)
	}
	k.mu.Unlock()
	k.evicted.Add(1)
	k.roster.update(out, func(m *member) { m.why, m.leaving = "its slot was given to another peer", true })
	k.crew.spawn(func() {
		k.drop(out)
		if err := k.host.Network().ClosePeer(out); err != nil {
			k.log.Debug("closing a connection failed", "peer", out, "err", err)
		}
	})
}

// inbound lists the peers that dialled us, as eviction sees them, but for those that are on
// their way out and those that count excludes. Who has not said hello is protected from
// nothing.
func (r *roster) inbound(count func(peer.ID) bool) (list []dial.Inbound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.direction == network.DirInbound && !m.leaving && m.standing != refused && count(m.id) {
			list = append(list, dial.Inbound{
				Peer: peerscore.PeerID(m.id), IP: m.ip, Since: m.opened, RTT: m.rtt, Useful: m.useful, Block: m.usefulBlock,
				Guest: m.standing != greeted,
			})
		}
	}
	return list
}

// brought notes that a peer was the first to bring something good.
func (r *roster) brought(p peer.ID, block bool) {
	r.update(p, func(m *member) {
		if block {
			m.usefulBlock = r.now()
		} else {
			m.useful = r.now()
		}
	})
}
