package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/libp2p/go-libp2p/core/host"
	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/internal/traffic"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
)

const (
	// stopWithin is the promise of DESIGN section 8; closeWithin leaves the rest
	// of it to the parts that stop before.
	stopWithin  = 10 * time.Second
	closeWithin = 3 * time.Second

	expireEvery = time.Second
	// announceMargin is for clocks and queues, beyond the time after which peers
	// have forgotten a transaction.
	announceMargin = 5 * time.Second
	announceEvery  = 10 * time.Second // a look at what is due
	announceMost   = 1_000            // a look, so that a full pool is no flood
)

// run makes what needs the network, and runs all parts until one fails or ctx
// ends.
func (n *Node) run(ctx context.Context) error {
	g := new(gate)
	cfg := n.cfg
	if cfg.Bandwidth == nil {
		c := new(traffic.Counter)
		n.events.metrics.traffic(c)
		cfg.Bandwidth = c
	}
	h, err := newHost(cfg, n.home.key, g, n.events.metrics.registry)
	if err != nil {
		return err
	}
	err = n.runOn(ctx, h, g)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return errors.Join(err, closeHost(stop, h))
}

func (n *Node) runOn(ctx context.Context, h host.Host, g *gate) error {
	o, err := n.newOverlay(h)
	if err != nil {
		return err
	}
	n.loadReputation(o)
	g.obey(o)
	if n.api != nil {
		if err := n.api.Listen(ctx); err != nil {
			return err
		}
	}
	n.host.Store(&h)
	n.overlay.Store(o)
	n.events.metrics.peers(o.Peers)
	n.events.metrics.syncing(o.Syncing)
	n.events.metrics.book(o.Book)
	if n.cfg.Members {
		n.events.metrics.registry.MustRegister(memberMetrics{o.MemberStats})
	}
	n.events.metrics.watch("transactions_unechoed", "Own transactions that too few peers are known to have.", o.Unechoed)
	n.events.metrics.watch("transactions_on_stems", "Transactions, own and of others, that are held until somebody publishes them.", o.OnStems)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.runStore(ctx) })
	group.Go(func() error { return o.Run(ctx) })
	group.Go(func() error { return n.settleIn(ctx, o) })
	group.Go(func() error { return n.chain.locals.run(ctx) })
	group.Go(func() error { return n.chain.archive.run(ctx) })
	group.Go(func() error { return n.runSnapshots(ctx) })
	group.Go(func() error { return n.reach.run(ctx, h) })
	group.Go(func() error { return n.keepHouse(ctx) })
	group.Go(func() error {
		n.keepBook(ctx, o)
		return nil
	})
	group.Go(func() error {
		n.keepReputation(ctx, o)
		return nil
	})
	group.Go(func() error {
		n.announcer.run(ctx, toAll(o))
		return nil
	})
	group.Go(func() error {
		n.private.announcer.run(ctx, alongStems(o))
		return nil
	})
	if n.api != nil {
		group.Go(func() error { return n.api.Run(ctx) })
	}
	if n.home.producer != nil {
		p := newProducer(n, o)
		if set := n.home.genesis.ProducersAt(n.chain.Head().Height + 1); !slices.Contains(set, p.address) {
			n.cfg.Logger.Warn("the producer key of this home is not among the producers of genesis, so it makes no blocks now",
				"address", p.address.Encode(n.home.genesis.AddressPrefix))
		}
		n.producer.Store(p)
		group.Go(func() error { return p.run(ctx) })
	}
	err = n.wait(ctx, group)
	n.saveBook(o)
	n.trySaveReputation(o)
	return err
}

// wait returns when all parts have ended. A part that hangs in a disk that
// failed is not waited for longer than the promise allows.
func (n *Node) wait(ctx context.Context, group *errgroup.Group) error {
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	n.cfg.Logger.Info("stopping")
	limit := time.NewTimer(stopWithin - closeWithin)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return errors.Join(n.store.Err(), fmt.Errorf("node: not all parts stopped within %v", stopWithin-closeWithin))
	}
}

// runStore follows the disk. A node whose disk fails goes on without it, and
// takes no transactions of its own users until the disk is back.
func (n *Node) runStore(ctx context.Context) error {
	m, log := n.events.metrics, n.cfg.Logger
	var said time.Time // when a retry was logged last
	err := n.store.Run(ctx, store.Watch{
		Failed: func(err error) {
			m.storeFailed.Set(1)
			m.storeFailures.Inc()
			log.Error("the disk failed: no transaction is accepted until it takes writes again; relaying goes on", "err", err)
		},
		Retried: func(err error) {
			if time.Since(said) > sayAgain {
				said = time.Now()
				log.Warn("the disk takes no writes yet", "err", err)
			}
		},
		Reopened: func(took time.Duration) {
			m.storeFailed.Set(0)
			written, err := n.chain.release()
			if err != nil { // failed again, and so the next time
				log.Warn("blocks still wait for the disk", "err", err)
			}
			log.Info("the disk takes writes again", "after", took.Round(time.Millisecond), "blocks written", written)
		},
	})
	if err != nil {
		log.Error("the store cannot be used any more, so the node stops", "err", err)
	}
	return err
}

// sayAgain keeps a disk that stays full from filling the log, too.
const sayAgain = time.Minute

// settleIn says that the node is ready once it is.
func (n *Node) settleIn(ctx context.Context, o *overlay.Overlay) error {
	select {
	case <-o.Ready():
	case <-ctx.Done():
		return nil
	}
	close(n.ready)
	n.cfg.Logger.Info("ready", "network", n.home.genesis.Network, "peer", n.id, "addrs", n.Addrs(), "height", n.chain.Head().Height)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	return nil
}

// announceAgain is how long after its announcement a transaction is announced
// again: peers that remember it would not hear of it.
func (c Config) announceAgain() time.Duration { return c.Gossip.Forgotten() + announceMargin }

// keepHouse lets old transactions expire, and publishes local ones again that too
// few peers have although all have had the time to forget the last publication. The
// overlay follows no more than so many at a time, and tells guests nothing.
func (n *Node) keepHouse(ctx context.Context) error {
	expire, announce := time.NewTicker(expireEvery), time.NewTicker(announceEvery)
	defer expire.Stop()
	defer announce.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-expire.C:
			n.chain.expire()
			n.chain.retryEarly()
			n.private.sweep()
		case <-announce.C:
			if n.announcer.len() == 0 {
				n.announcer.add(n.chain.untold(n.cfg.announceAgain(), announceMost)...)
			}
		}
	}
}
