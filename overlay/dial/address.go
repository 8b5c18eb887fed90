package dial

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Transport is how an address is dialled.
type Transport uint8

const (
	TCP  Transport = 1
	QUIC Transport = 2
)

// Address is one way to reach one peer. It is comparable.
type Address struct {
	Peer peerscore.PeerID // up to MaxPeerID bytes
	At   netip.AddrPort   // IPv4 as such, not mapped into IPv6
	Over Transport
}

// MaxPeerID bounds the bytes of a peer id: an Ed25519 identity has 38, the
// longest that libp2p hashes rather than inlines 34, and 64 leaves room.
const MaxPeerID = 64

// valid says whether a is well formed, whatever it leads to.
func (a Address) valid() bool {
	return len(a.Peer) > 0 && len(a.Peer) <= MaxPeerID &&
		a.At.IsValid() && a.At.Port() != 0 && a.At.Addr().Zone() == "" && !a.At.Addr().Is4In6() &&
		(a.Over == TCP || a.Over == QUIC)
}

func (a Address) compare(b Address) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Over, b.Over), cmp.Compare(a.Peer, b.Peer))
}

// Group is the network that an address belongs to: its IPv4 /16 or IPv6 /32,
// as in Bitcoin Core's netgroup. Whoever rents addresses gets many of one group
// for the price of few of several.
type Group = netip.Prefix

// GroupOf returns the group of ip, or the zero Group of an invalid one.
func GroupOf(ip netip.Addr) Group {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is4() {
		bits = 16
	}
	g, err := ip.Prefix(bits)
	if err != nil {
		return Group{}
	}
	return g
}

// special are ranges that netip has no word for and that no peer on the public
// network has; to dial them because a stranger said so would let the stranger
// reach into our networks. Source: the IANA registries of special-purpose
// addresses. The IPv6 ones carry an IPv4 address, which must stand for itself.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	carriers,
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),           // IPv4-compatible
	netip.MustParsePrefix("::ffff:0:0:0/96"), // IPv4-translated
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/32"), // Teredo
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fec0::/10"),
}

// carriers is what providers number their customers with, behind their own NAT.
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// unasked are ports of services that take harm, or make us look harmful, when
// thousands of nodes dial them on a stranger's word. Bitcoin Core has a longer
// list of the same kind; these are what scanners and mail filters watch.
var unasked = [...]uint16{22, 23, 25, 53, 110, 143, 465, 587, 993, 995, 3389}

// Public says whether a may be dialled on the word of a stranger: a global
// unicast address, and a port of no well-known other service.
func (a Address) Public() bool {
	if !a.valid() {
		return false
	}
	ip := a.At.Addr()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return !slices.Contains(unasked[:], a.At.Port())
}

// Near says whether a may be dialled on the word of whoever is in our own network:
// that may lead into it, or to this machine, but to no crowd of hosts and no
// well-known other service either.
func (a Address) Near() bool {
	ip := a.At.Addr()
	ours := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || carriers.Contains(ip)
	return a.Public() || a.valid() && ours && !slices.Contains(unasked[:], a.At.Port())
}
