package overlay

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// addressOf is a, of peer p, as the address book has it; false for one of another form than
// IP and port over TCP or QUIC. A /p2p at its end must be p's.
func addressOf(p peer.ID, a multiaddr.Multiaddr) (dial.Address, bool) {
	at, id := peer.SplitAddr(a)
	if at == nil || id != "" && id != p {
		return dial.Address{}, false
	}
	out := dial.Address{Peer: peerscore.PeerID(p)}
	codes := [3]int{}
	if len(at) < 2 || len(at) > len(codes) {
		return out, false
	}
	for i, c := range at {
		codes[i] = c.Protocol().Code
	}
	switch {
	case codes[1] == multiaddr.P_TCP && codes[2] == 0:
		out.Over = dial.TCP
	case codes[1] == multiaddr.P_UDP && codes[2] == multiaddr.P_QUIC_V1:
		out.Over = dial.QUIC
	default:
		return out, false
	}
	var ok bool
	out.At, ok = addrPort(at)
	return out, ok
}

// OnWord says whether a may be dialled on a stranger's word: it is no name, nor private, nor of a
// well-known other service.
func OnWord(a multiaddr.Multiaddr) bool {
	_, p := peer.SplitAddr(a)
	if p == "" {
		p = "anybody" // it does not depend on whose it is
	}
	out, ok := addressOf(p, a)
	return ok && !mapped(a) && out.Public()
}

// mapped says that a begins with an IPv4 address in the form of IPv6. The operator may write one
// so; what nodes tell of themselves and of others has IPv4 as such.
func mapped(a multiaddr.Multiaddr) bool {
	if len(a) == 0 || a[0].Protocol().Code != multiaddr.P_IP6 {
		return false
	}
	ip, ok := netip.AddrFromSlice(a[0].RawValue())
	return ok && ip.Is4In6()
}

// multiaddrOf is a in libp2p's form, without its peer.
func multiaddrOf(a dial.Address) (multiaddr.Multiaddr, error) {
	family, over := "/ip6/", "/tcp/"
	if a.At.Addr().Is4() {
		family = "/ip4/"
	}
	end := ""
	if a.Over == dial.QUIC {
		over, end = "/udp/", "/quic-v1"
	}
	return multiaddr.NewMultiaddr(family + a.At.Addr().String() + over + strconv.Itoa(int(a.At.Port())) + end)
}

// addrPort is the IP, IPv4 as such, and port at the beginning of a. It reads them and asks nobody:
// to resolve a name that a stranger chose would tell the stranger of us, and takes as long as it likes.
func addrPort(a multiaddr.Multiaddr) (netip.AddrPort, bool) {
	if len(a) < 2 {
		return netip.AddrPort{}, false
	}
	switch a[0].Protocol().Code {
	case multiaddr.P_IP4, multiaddr.P_IP6:
	default:
		return netip.AddrPort{}, false
	}
	switch a[1].Protocol().Code {
	case multiaddr.P_TCP, multiaddr.P_UDP:
	default:
		return netip.AddrPort{}, false
	}
	ip, ok := netip.AddrFromSlice(a[0].RawValue())
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(a[1].RawValue())), ok
}

// seenAt is from where a peer is connected, by its first connection with an IP.
func seenAt(n network.Network, p peer.ID) (netip.AddrPort, bool) {
	for _, c := range n.ConnsToPeer(p) {
		if at, ok := addrPort(c.RemoteMultiaddr()); ok {
			return at, true
		}
	}
	return netip.AddrPort{}, false
}
