package overlay

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
)

const (
	// resolveEvery is how often names are looked up again; retryNames, how soon after a
	// look-up that found nothing.
	resolveEvery = 10 * time.Minute
	retryNames   = 30 * time.Second
	// resolveTime is for all names together.
	resolveTime = 20 * time.Second
	// nameDepth is how often a dnsaddr may lead to another one.
	nameDepth = 4
)

// follow resolves the bootstrap peers' names until ctx ends.
func (k *keeper) follow(ctx context.Context) {
	names := k.names()
	if len(names) == 0 || k.cfg.Outbound == 0 {
		return
	}
	for failures := uint64(0); ctx.Err() == nil; {
		if found := k.lookUp(ctx, names); len(found) > 0 {
			failures = 0
			k.mu.Lock()
			k.core.Seeds(found)
			k.mu.Unlock()
			sleep(ctx, resolveEvery)
			continue
		}
		if failures++; failures%complainEvery == 1 && ctx.Err() == nil {
			k.log.Warn("no bootstrap name resolves to an address; trying again for ever", "names", names, "failures", failures)
		}
		sleep(ctx, retryNames)
	}
}

// names are the bootstrap addresses, if a name is among them.
func (k *keeper) names() []multiaddr.Multiaddr {
	all := append([]multiaddr.Multiaddr(nil), k.cfg.Names...)
	named := len(all) > 0
	for _, info := range k.seeds {
		addrs, err := peer.AddrInfoToP2pAddrs(&info)
		if err != nil {
			continue // an id without a byte form has no address either
		}
		for _, a := range addrs {
			named = named || madns.Matches(a)
			all = append(all, a)
		}
	}
	if !named {
		return nil
	}
	return all
}

// lookUp returns what addresses stand for, dial.MaxSeeds at most. What a name stands for is
// the word of strangers.
func (k *keeper) lookUp(ctx context.Context, names []multiaddr.Multiaddr) (found []dial.Address) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	for _, name := range names {
		if !madns.Matches(name) {
			found = append(found, k.seedsOf(name)...)
			continue
		}
		for _, a := range k.resolve(ctx, name) {
			for _, s := range k.seedsOf(a) {
				if k.cfg.AllowPrivate || s.Public() {
					found = append(found, s)
				}
			}
		}
	}
	return found[:min(len(found), dial.MaxSeeds)]
}

// resolve looks up a name, and names that it stands for.
func (k *keeper) resolve(ctx context.Context, name multiaddr.Multiaddr) []multiaddr.Multiaddr {
	var resolver network.MultiaddrDNSResolver = swarm.ResolverFromMaDNS{Resolver: madns.DefaultResolver}
	if k.cfg.Resolver != nil {
		resolver = k.cfg.Resolver
	}
	_, id := peer.SplitAddr(name)
	list := []multiaddr.Multiaddr{name}
	if _, err := name.ValueForProtocol(multiaddr.P_DNSADDR); err == nil {
		if list, err = resolver.ResolveDNSAddr(ctx, id, name, nameDepth, dial.MaxSeeds); err != nil {
			k.log.Debug("a bootstrap name does not resolve", "name", name, "err", err)
			return nil
		}
	}
	var out []multiaddr.Multiaddr
	for _, a := range list[:min(len(list), dial.MaxSeeds)] {
		if !madns.Matches(a) {
			out = append(out, a)
			continue
		}
		addrs, err := resolver.ResolveDNSComponent(ctx, a, dial.MaxSeeds)
		if err != nil {
			k.log.Debug("a bootstrap name does not resolve", "name", a, "err", err)
			continue
		}
		out = append(out, addrs...)
	}
	return out
}

// seedsOf is an address that ends in its peer, as the book has it; none if it is ours.
func (k *keeper) seedsOf(a multiaddr.Multiaddr) []dial.Address {
	_, id := peer.SplitAddr(a)
	if id == "" || id == k.host.ID() {
		return nil
	}
	return k.addressesOf(id, []multiaddr.Multiaddr{a})
}
