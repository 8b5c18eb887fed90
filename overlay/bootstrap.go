package overlay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

const (
	dialTimeout = 15 * time.Second
	// firstBackoff doubles with each failure up to lastBackoff. Each pause is shortened
	// by up to half at random, so that a network that restarts does not dial in step.
	firstBackoff = time.Second
	lastBackoff  = time.Minute
	// complainEvery is how many failures in a row make one line of log.
	complainEvery = 10

	bootstrapTag = "grapevine-bootstrap"
)

// bootstrapper keeps one configured peer connected, for ever: those of Dial.Keep, and where
// nobody is chosen, the bootstrap peers.
type bootstrapper struct {
	host   host.Host // constant
	roster *roster
	log    *slog.Logger
	addr   peer.AddrInfo
	pace   dialPace // shared by all of them
	back   *returns // and this
}

func (b *bootstrapper) run(ctx context.Context) {
	b.host.ConnManager().Protect(b.addr.ID, bootstrapTag)
	defer b.host.ConnManager().Unprotect(b.addr.ID, bootstrapTag)
	b.host.Peerstore().AddAddrs(b.addr.ID, b.addr.Addrs, peerstore.PermanentAddrTTL)
	failures := 0
	for ctx.Err() == nil {
		if until, barred := b.roster.barredUntil(b.addr.ID); barred {
			sleep(ctx, time.Until(until))
			continue
		}
		again := b.back.next()
		var err error
		if b.host.Network().Connectedness(b.addr.ID) != network.Connected {
			err = b.dial(ctx, again)
		}
		if err == nil {
			if b.stay(ctx) {
				failures = 0
				sleep(ctx, backoff(1))
				continue
			}
			err = errTurnedAway
		}
		if failures++; failures%complainEvery == 1 && ctx.Err() == nil {
			b.log.Warn("bootstrap peer cannot be reached; trying again for ever",
				"peer", b.addr.ID, "addrs", b.addr.Addrs, "failures", failures, "err", err)
		}
		if sleepUnless(ctx, backoff(failures), again) {
			failures = 1
		}
	}
}

// patient is a network that itself waits, ever longer, before it dials an address again
// that failed. libp2p's does, and begins with five seconds.
type patient interface {
	Backoff() *swarm.DialBackoff
}

// dial tries once. The pauses between two tries are ours to choose: with those of the
// network as well, a peer that starts a moment after us would be found late. A try that drags
// on when another peer comes back is given up: its packets were lost, and the next of them is
// seconds away.
func (b *bootstrapper) dial(ctx context.Context, again <-chan struct{}) error {
	done, err := b.pace.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	begun := time.Now()
	var wait sync.WaitGroup
	defer wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait.Go(func() {
		select {
		case <-ctx.Done():
		case <-again:
			if time.Since(begun) >= turnLength {
				cancel()
			}
		}
	})
	return connect(ctx, b.host, b.addr)
}

// connect dials a peer at once, whatever pause the network would make.
func connect(ctx context.Context, h host.Host, addr peer.AddrInfo) error {
	if n, ok := h.Network().(patient); ok {
		n.Backoff().Clear(addr.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return h.Connect(ctx, addr)
}

// errTurnedAway says that a peer closed the connection before it had made us welcome, as one
// does that has banned us.
var errTurnedAway = errors.New("overlay: the bootstrap peer ended the connection at once")

// stay returns when the peer is gone, and says whether it had been welcome here, and we
// there: one that turns us away must not be dialled without a pause.
func (b *bootstrapper) stay(ctx context.Context) (welcome bool) {
	m := b.roster.get(b.addr.ID)
	if m == nil { // connected, but not yet noticed; or gone already
		sleep(ctx, firstBackoff)
		if m = b.roster.get(b.addr.ID); m == nil {
			return false
		}
	}
	select {
	case <-m.gone:
		return b.roster.wasWelcome(m)
	case <-ctx.Done():
		return true
	}
}

func backoff(failures int) time.Duration {
	d := lastBackoff
	if failures < 7 {
		d = min(d, firstBackoff<<(failures-1))
	}
	return d - rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) { sleepUnless(ctx, d, nil) }

// sleepUnless says whether it was woken.
func sleepUnless(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-wake:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}
