package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// newHost makes a libp2p host that listens on the configured addresses.
func newHost(cfg Config, key ed25519.PrivateKey, g *gate, registry prometheus.Registerer) (host.Host, error) {
	identity, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	if cfg.NewHost != nil {
		return cfg.NewHost(identity)
	}
	resources, err := limitsOf(cfg.Profile)
	if err != nil {
		return nil, fmt.Errorf("network limits: %w", err)
	}
	options := []libp2p.Option{
		libp2p.Identity(identity),
		libp2p.UserAgent("grapevine/" + cfg.Version),
		libp2p.NoListenAddrs, // each is listened on below, so that each failure is told
		libp2p.Transport(transports{identity}.tcp),
		libp2p.Transport(transports{identity}.quic),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.ResourceManager(door{resources, &g.knocks}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}), // whom to keep is for the overlay to say
		libp2p.ConnectionGater(g),
		DialWhatFailed(),
	}
	if cfg.Profile == config.ProfileTestnet {
		// Everybody's address is known, and many nodes share one registry.
		options = append(options, libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery())
	} else {
		options = append(options, libp2p.PrometheusRegisterer(registry), libp2p.EnableAutoNATv2())
	}
	if cfg.Bandwidth != nil {
		options = append(options, libp2p.BandwidthReporter(cfg.Bandwidth))
	}
	if len(cfg.AnnounceAddrs) > 0 {
		announce, err := multiaddrs(cfg.AnnounceAddrs)
		if err != nil {
			return nil, errors.Join(err, resources.Close())
		}
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return announce }))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the libp2p host: %w", err), resources.Close())
	}
	if err := listen(h, cfg.ListenAddrs, cfg.Logger); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// DialWhatFailed has a libp2p host dial whatever it is told to. By itself it refuses public QUIC
// addresses, but for one in a hundred, once a hundred dials of any such failed, and IPv6 ones
// likewise: a node that was cut off for some minutes would not find back for an hour. How
// often to try what failed is for the overlay to say.
func DialWhatFailed() libp2p.Option {
	return libp2p.ChainOptions(libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil))
}

func multiaddrs(texts []string) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, len(texts))
	for i, text := range texts {
		var err error
		if addrs[i], err = ma.NewMultiaddr(text); err != nil {
			return nil, fmt.Errorf("address %q: %w", text, err)
		}
	}
	return addrs, nil
}

// listen opens every address that this machine can have, or fails.
func listen(h host.Host, texts []string, logger *slog.Logger) error {
	addrs, err := multiaddrs(texts)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if isIPv6(addr) && !haveIPv6() {
			logger.Warn("this machine has no IPv6, so an address is not listened on", "addr", addr.String())
			continue
		}
		if err := h.Network().Listen(addr); err != nil {
			return fmt.Errorf("listen on %s: %w; if another program uses the port, stop it or choose another address (listen in config.toml, or --listen)", addr, err)
		}
	}
	if len(h.Network().ListenAddresses()) == 0 {
		return errors.New("no address to listen on is left; set listen in config.toml, or --listen")
	}
	return nil
}

func isIPv6(addr ma.Multiaddr) bool {
	first, _ := ma.SplitFirst(addr)
	return first != nil && first.Protocol().Code == ma.P_IP6
}

// haveIPv6 tells whether any IPv6 address can be listened on at all.
func haveIPv6() bool {
	l, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// limitsOf returns the resource manager of a profile.
//
// public: libp2p's own limits, which grow with the machine's memory and file
// descriptors, and those of fromOneNetwork; a public node needs no more, and an
// attacker gets no more.
//
// testnet: none of the limits that count addresses, since there everybody shares
// a few, and none on rates, since there everybody starts at once.
func limitsOf(profile string) (network.ResourceManager, error) {
	if profile == config.ProfileTestnet {
		return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.InfiniteLimits),
			rcmgr.WithLimitPerSubnet(nil, nil),
			rcmgr.WithNetworkPrefixLimit(nil, nil),
			rcmgr.WithConnRateLimiters(&rate.Limiter{}),
			rcmgr.WithMetricsDisabled())
	}
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(scaling.AutoScale()), fromOneNetwork()...)
}

// closeHost bounds the goodbye, which waits for remote ends.
func closeHost(ctx context.Context, h host.Host) error {
	done := make(chan error, 1)
	go func() { done <- h.Close() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("close the libp2p host: %w", ctx.Err())
	}
}
