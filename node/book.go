package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/dial"
)

// bookEvery is how much of what a node was told a crash may cost its address book;
// bookWithin is the same of the peers that it found and of its anchors.
const (
	bookEvery  = time.Minute
	bookWithin = 2 * time.Second
)

func (n *Node) newOverlay(h host.Host) (*overlay.Overlay, error) {
	cfg := overlay.DefaultConfig()
	cfg.Host, cfg.Genesis, cfg.Checker, cfg.Chain, cfg.Pool = h, n.home.genesis, n.chain.checker, n.chain, n.chain
	cfg.Agent = "grapevine/" + n.cfg.Version
	cfg.Logger, cfg.Now, cfg.Hooks = n.cfg.Logger, n.cfg.Now, n.events.hooks()
	cfg.Dial, cfg.Gossip, cfg.Limits, cfg.Sync, cfg.Score, cfg.Recon = n.cfg.Dial, n.cfg.Gossip, n.cfg.Limits, n.cfg.Sync, n.cfg.Score, n.cfg.Recon
	cfg.Members = n.cfg.Members
	if n.cfg.Profile == config.ProfileTestnet { // all of its nodes may be in one network, and a private one
		cfg.EchoNetworks = 1
		cfg.Swim.MaxPerGroup = cfg.Swim.MaxMembers
		cfg.Dial.AllowPrivate, cfg.Dial.PerGroup = true, max(1, cfg.Dial.Outbound)
	}
	for _, text := range n.cfg.Bootstrap {
		info, name, err := config.ParseBootstrap(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("bootstrap address %q: %w", text, err)
		case name != nil:
			cfg.Dial.Names = append(cfg.Dial.Names, name)
		default:
			cfg.Bootstrap = append(cfg.Bootstrap, *info)
		}
	}
	for _, text := range n.cfg.Keep {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return nil, fmt.Errorf("address of a peer to keep %q: %w", text, err)
		}
		cfg.Dial.Keep = append(cfg.Dial.Keep, *info)
	}
	return n.withBook(cfg)
}

// withBook makes an overlay that knows the peers of the last life. A book that cannot be
// read costs what it held, and nothing more.
func (n *Node) withBook(cfg overlay.Config) (*overlay.Overlay, error) {
	saved, err := n.store.ReadFile(store.PeersFile, dial.MaxState)
	if err == nil {
		var o *overlay.Overlay
		cfg.Dial.Saved = saved
		o, err = overlay.New(cfg)
		if damaged := dial.Damaged(""); !errors.As(err, &damaged) {
			return o, err
		}
	}
	aside, failed := n.store.SetAside(store.PeersFile)
	n.cfg.Logger.Warn("the address book cannot be used, so peers are found by bootstrap", "err", err, "kept as", aside, "failed", failed)
	cfg.Dial.Saved = nil
	return overlay.New(cfg)
}

// keepBook writes the address book down from time to time, and soon after a peer was found:
// the first minute is when a node can least afford to forget whom it met.
func (n *Node) keepBook(ctx context.Context, o *overlay.Overlay) {
	tick := time.NewTicker(bookWithin)
	defer tick.Stop()
	var written overlay.BookStatus
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := o.Book()
		found := now.Tried != written.Tried || now.Anchors != written.Anchors || now.Outbound != written.Outbound
		if found || time.Since(last) >= bookEvery {
			n.saveBook(o)
			written, last = now, time.Now()
		}
	}
}

func (n *Node) saveBook(o *overlay.Overlay) {
	err := n.store.WriteFile(store.PeersFile, o.SaveBook())
	if err != nil && !errors.Is(err, store.Failed) && !errors.Is(err, store.Closed) {
		n.cfg.Logger.Warn("the address book could not be written down", "err", err)
	}
}
