package overlay

import (
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
)

// Dial is how a node finds its peers, and whom of those who find it, it keeps. With
// Outbound 0 the bootstrap peers are the topology: each of them is kept connected for ever
// and nobody else is dialled.
type Dial struct {
	dial.Config

	// Inbound is how many peers that dialled us are kept. With one more, one of them has to
	// make room: see dial.Keeper.Evict.
	Inbound int
	// Keep are kept connected for ever, beside the Outbound links.
	Keep []peer.AddrInfo
	// Names stand for bootstrap peers and are resolved from time to time: multiaddrs that
	// begin with dnsaddr, dns, dns4 or dns6. Those after /dnsaddr need no /p2p.
	Names []multiaddr.Multiaddr
	// Resolver resolves names; nil means the system's.
	Resolver network.MultiaddrDNSResolver
	// Local has peers of this network found in the local one, by multicast DNS.
	Local bool
	// Saved is what SaveBook returned in an earlier life; empty in the first.
	Saved []byte
}

// DefaultDial is the policy for the public network.
func DefaultDial() Dial {
	return Dial{
		Config:  dial.DefaultConfig(),
		Inbound: 70, // several times Outbound: nodes that cannot be dialled need a place, too
	}
}

// maxInbound bounds Inbound, and maxKept the peers that are kept by name of the operator.
const (
	maxInbound = 4096
	maxKept    = 1024
)

// Validate reports every reason why the settings cannot be used.
func (d Dial) Validate() error {
	var errs []error
	if err := d.Config.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("overlay: dial: %w", err))
	}
	if d.Inbound < 1 || d.Inbound > maxInbound {
		errs = append(errs, fmt.Errorf("overlay: dial: Inbound is %d, want 1 to %d", d.Inbound, maxInbound))
	}
	if len(d.Keep) > maxKept {
		errs = append(errs, fmt.Errorf("overlay: dial: Keep has %d peers, want at most %d", len(d.Keep), maxKept))
	}
	if len(d.Names) > dial.MaxSeeds {
		errs = append(errs, fmt.Errorf("overlay: dial: Names has %d addresses, want at most %d", len(d.Names), dial.MaxSeeds))
	}
	if len(d.Names) > 0 && d.Outbound == 0 {
		errs = append(errs, fmt.Errorf("overlay: dial: Names has %v, which takes an Outbound above 0", d.Names))
	}
	return errors.Join(errs...)
}
