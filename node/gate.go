package node

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gate keeps banned peers and addresses out: an address before anything is
// spent on it, a peer as soon as a connection shows who it is. Banned peers that come again
// and again have their address kept out too, most of the time. The host needs
// the gate before there is an overlay to ask, so it is open until told.
type gate struct {
	warden atomic.Pointer[warden]
	knocks knocks
}

// warden says who is banned: an overlay does.
type warden interface {
	Banned(p peer.ID) bool
	BannedAddr(a ma.Multiaddr) bool
	BannedAt(p peer.ID, a ma.Multiaddr) bool // an address may be banned, and an anchor there not
}

func (g *gate) obey(w warden) { g.warden.Store(&w) }

func (g *gate) letsPeer(p peer.ID) bool {
	w := g.warden.Load()
	return w == nil || !(*w).Banned(p)
}

func (g *gate) letsAddr(a ma.Multiaddr) bool {
	w := g.warden.Load()
	return w == nil || !(*w).BannedAddr(a)
}

func (g *gate) letsAt(p peer.ID, a ma.Multiaddr) bool {
	w := g.warden.Load()
	return w == nil || !(*w).BannedAt(p, a)
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.letsPeer(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool { return g.letsAt(p, a) }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool { return g.letsAddr(c.RemoteMultiaddr()) }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(d network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	lets := g.letsPeer(p)
	switch {
	case d != network.DirInbound:
	case lets:
		g.knocks.welcomed(c.RemoteMultiaddr(), time.Now())
	default:
		g.knocks.refused(c.RemoteMultiaddr(), time.Now())
	}
	return lets
}

// InterceptUpgraded implements connmgr.ConnectionGater. A ban may have come while
// the connection was being made.
func (g *gate) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.letsPeer(c.RemotePeer()) && g.letsAt(c.RemotePeer(), c.RemoteMultiaddr()), 0
}

var _ connmgr.ConnectionGater = (*gate)(nil)
