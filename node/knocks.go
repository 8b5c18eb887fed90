package node

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// knocksAtOnce and knocksPerSecond are how often banned peers of one address may find out
	// that they are: each time costs us a handshake. That is far more than a peer does that
	// keeps to any back-off.
	knocksAtOnce    = 32
	knocksPerSecond = 4
	// knockPrefix is the part of an IPv6 address that one host has for itself.
	knockPrefix = 64
	// maxKnockers bounds the addresses that are remembered. When there are more, all are
	// forgotten: who comes from so many is held up by bounds of connections.
	maxKnockers = 4096
)

// knocks counts the handshakes with peers that were banned, by address. An address from which
// they come again and again is refused before anything is spent on it, but for one connection
// now and then, since others may share it.
type knocks struct {
	mu sync.Mutex                // guards what follows
	by map[netip.Prefix]*knocker // none without an IP
}

// knocker is what an address has left of handshakes that banned peers may cost us.
type knocker struct {
	left float64
	at   time.Time
}

func (n *knocker) refill(now time.Time) {
	n.left = min(knocksAtOnce, n.left+knocksPerSecond*max(0, now.Sub(n.at).Seconds()))
	n.at = now
}

// door is a resource manager that opens to nobody who only knocks. Over QUIC it is the only one
// that is asked before the handshake.
type door struct {
	network.ResourceManager
	knocks *knocks
}

// errKnocking says that an address is refused for the banned peers that come from it.
var errKnocking = errors.New("node: banned peers of this address come again and again")

// OpenConnection implements network.ResourceManager.
func (d door) OpenConnection(dir network.Direction, usefd bool, from ma.Multiaddr) (network.ConnManagementScope, error) {
	if dir == network.DirInbound && !d.knocks.lets(from, time.Now()) {
		return nil, errKnocking
	}
	return d.ResourceManager.OpenConnection(dir, usefd, from)
}

// lets says whether a connection from an address is worth a handshake. One from an address of
// banned peers pays for it at once: many come at the same time, and who they are is known only
// afterwards.
func (k *knocks) lets(a ma.Multiaddr, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.by[knockerOf(a)]
	if n == nil {
		return true
	}
	n.refill(now)
	if n.left < 1 {
		return false
	}
	n.left--
	return true
}

// refused notes that a handshake showed a banned peer.
func (k *knocks) refused(a ma.Multiaddr, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	from := knockerOf(a)
	if !from.IsValid() || k.by[from] != nil { // it has paid
		return
	}
	if k.by == nil || len(k.by) >= maxKnockers {
		k.by = make(map[netip.Prefix]*knocker)
	}
	k.by[from] = &knocker{left: knocksAtOnce - 1, at: now}
}

// welcomed notes that a handshake showed a peer that is not banned: it costs its address nothing.
func (k *knocks) welcomed(a ma.Multiaddr, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.by[knockerOf(a)]; n != nil {
		n.refill(now)
		n.left = min(knocksAtOnce, n.left+1)
	}
}

// knockerOf is the address as it is counted, zero if it has no IP.
func knockerOf(a ma.Multiaddr) netip.Prefix {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = knockPrefix
	}
	p, _ := addr.Prefix(bits)
	return p
}
