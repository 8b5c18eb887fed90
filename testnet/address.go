package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Endpoint is where one node listens, with TCP and QUIC on the same port
// number.
type Endpoint struct {
	ip   netip.Addr
	port uint16
}

// TCP is its multiaddr for TCP.
func (e Endpoint) TCP() string { return fmt.Sprintf("/ip4/%s/tcp/%d", e.ip, e.port) }

// QUIC is its multiaddr for QUIC.
func (e Endpoint) QUIC() string { return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", e.ip, e.port) }

// String is host:port.
func (e Endpoint) String() string { return netip.AddrPortFrom(e.ip, e.port).String() }

// OwnAddresses says whether n nodes can have an address each: 127.0.0.2, .3 and
// so on. Linux has them all; other systems only what was configured.
func OwnAddresses(n int) bool {
	for i := range n {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(loopback(i), 0).String())
		if err != nil {
			return false
		}
		l.Close() // was only tried
	}
	return true
}

// Endpoints finds n free ones, each on its own address or, with distinct
// ports, all on 127.0.0.1. Nothing holds the ports
// until the nodes do, so another program could still take one; the node then
// says so.
func Endpoints(n int, own bool) ([]Endpoint, error) {
	found := make([]Endpoint, n)
	taken := make(map[Endpoint]bool)
	for i := range found {
		ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if own {
			ip = loopback(i)
		}
		var err error
		if found[i], err = free(ip, taken); err != nil {
			return nil, err
		}
		taken[found[i]] = true
	}
	return found, nil
}

func loopback(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}) }

// portTries is generous: a port that TCP was given is nearly always free for
// UDP too.
const portTries = 50

// free finds a port of ip that both TCP and UDP can have.
func free(ip netip.Addr, taken map[Endpoint]bool) (Endpoint, error) {
	var last error
	for range portTries {
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		if err != nil {
			return Endpoint{}, fmt.Errorf("find a free port on %s: %w", ip, err)
		}
		e := Endpoint{ip: ip, port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, e.port)))
		l.Close()
		if err != nil {
			last = err
			continue
		}
		u.Close()
		if !taken[e] {
			return e, nil
		}
		last = errors.New("the system offers the same port again and again")
	}
	return Endpoint{}, fmt.Errorf("find a port on %s that is free for TCP and UDP: %w", ip, last)
}
