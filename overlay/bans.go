package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Ban keeps a peer out, or all addresses of a prefix: one of the two is set.
type Ban struct {
	Peer   peer.ID
	Prefix netip.Prefix
	Until  time.Time
	Reason string
	ByHand bool // the operator set it
}

// String names what is banned: a peer id or a prefix.
func (b Ban) String() string {
	if b.Peer != "" {
		return b.Peer.String()
	}
	return b.Prefix.String()
}

// mappedBits is what comes before an IPv4 address in the form of IPv6, ::ffff:0:0/96.
const mappedBits = 96

// ParseBanned reads what a ban can name: a peer id, an IP address or a prefix in CIDR form.
// IPv4 in the form of IPv6 is IPv4, as where bans are kept.
func ParseBanned(text string) (Ban, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
		}
		if !p.IsValid() {
			return Ban{}, fmt.Errorf("overlay: %.80q begins as IPv4 in the form of IPv6, of which a prefix has at least %d bits", text, mappedBits)
		}
		return Ban{Prefix: p.Masked()}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return Ban{Prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if p, err := peer.Decode(text); err == nil {
		return Ban{Peer: p}, nil
	}
	return Ban{}, fmt.Errorf("overlay: %.80q is neither a peer id nor an IP address nor a prefix such as 203.0.113.0/24", text)
}

// whyByHand is the reason of a cut, for hooks.
const whyByHand = "by_hand"

// errBanOver says that a ban would be over already, or names nothing.
var errBanOver = errors.New("overlay: the ban names nothing, or its time is over")

// BanByHand sets a ban of the operator's and disconnects whom it is about. It takes the
// place of one of the same peer.
func (o *Overlay) BanByHand(b Ban) error {
	now := o.cfg.Now()
	o.court.mu.Lock()
	ok := b.Until.After(now)
	switch {
	case !ok:
	case b.Peer != "":
		o.court.book.BanByHand(now, peerscore.PeerID(b.Peer), b.Until, b.Reason)
	default:
		zone := peerscore.ZoneBan{Prefix: b.Prefix, Until: b.Until, Reason: b.Reason, ByHand: true}
		o.court.book.LiftZone(b.Prefix)
		_, ok = o.court.book.BanZone(now, zone)
	}
	o.court.mu.Unlock()
	if !ok {
		return errBanOver
	}
	o.log.Info("banned by hand", "who", b, "until", b.Until, "why", b.Reason)
	if b.Peer != "" {
		o.court.banned(b.Peer, whyByHand)
	}
	o.dismissBanned()
	return nil
}

// Unban lifts a ban and says whether there was one. A peer's record of guilt goes with it.
func (o *Overlay) Unban(b Ban) bool {
	now := o.cfg.Now()
	o.court.mu.Lock()
	defer o.court.mu.Unlock()
	if b.Peer != "" {
		return o.court.book.Unban(now, peerscore.PeerID(b.Peer))
	}
	return o.court.book.LiftZone(b.Prefix)
}

// Bans lists the bans in force: prefixes, then peers.
func (o *Overlay) Bans() []Ban {
	now := o.cfg.Now()
	o.court.mu.Lock()
	defer o.court.mu.Unlock()
	var list []Ban
	for _, z := range o.court.book.Zones(now) {
		list = append(list, Ban{Prefix: z.Prefix, Until: z.Until, Reason: z.Reason, ByHand: z.ByHand})
	}
	for s := range o.court.book.All(now) {
		if !s.BannedUntil.IsZero() {
			list = append(list, Ban{Peer: peer.ID(s.Peer), Until: s.BannedUntil, Reason: s.Reason, ByHand: s.ByHand})
		}
	}
	return list
}

// BannedAddr says whether an address is in a banned prefix. It is quick, for use by a
// connection gater.
func (o *Overlay) BannedAddr(a multiaddr.Multiaddr) bool {
	return o.bannedAddr(a, (*peerscore.Book).BannedAddr)
}

// BannedAt says whether a peer, which need not be banned itself, is kept out at an address.
// For what others did at its address neither an anchor is, which this node chose and which
// served it, nor a peer that the operator named: who can use their address, or one of their
// /64, could take them away.
func (o *Overlay) BannedAt(p peer.ID, a multiaddr.Multiaddr) bool {
	return o.BannedAddr(a) && (!o.keeper.trusts(p) || o.bannedAddr(a, (*peerscore.Book).BannedAddrByHand))
}

func (o *Overlay) bannedAddr(a multiaddr.Multiaddr, by func(*peerscore.Book, time.Time, netip.Addr) (peerscore.ZoneBan, bool)) bool {
	addr := ipOf(a)
	if !addr.IsValid() {
		return false
	}
	now := o.cfg.Now()
	o.court.mu.Lock()
	defer o.court.mu.Unlock()
	_, banned := by(o.court.book, now, addr)
	return banned
}

// ipOf is the IP of an address; invalid if it has none.
func ipOf(a multiaddr.Multiaddr) netip.Addr {
	if ap, ok := addrPort(a); ok {
		return ap.Addr()
	}
	return netip.Addr{}
}

// dismissBanned closes the connections of peers that are kept out where they are.
func (o *Overlay) dismissBanned() {
	for _, c := range o.host.Network().Conns() {
		if p := c.RemotePeer(); o.BannedAt(p, c.RemoteMultiaddr()) {
			o.crew.spawn(func() { o.dismiss(p, "its address is banned") })
		}
	}
}

// SaveReputation is what should outlive the process: every ban, and the weightiest records
// of as many other peers as given.
func (o *Overlay) SaveReputation(records int) peerscore.Saved {
	now := o.cfg.Now()
	o.court.mu.Lock()
	defer o.court.mu.Unlock()
	return o.court.book.Save(now, records)
}

// LoadReputation takes over what SaveReputation gave in an earlier life.
func (o *Overlay) LoadReputation(s peerscore.Saved) {
	now := o.cfg.Now()
	o.court.mu.Lock()
	defer o.court.mu.Unlock()
	o.court.book.Load(now, s)
}
