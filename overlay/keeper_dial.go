package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
)

// errOurs says that a dial was not carried out, which says nothing of who is there.
var errOurs = errors.New("overlay: the dial was not carried out")

// carryOut dials once, and reports what became of it.
func (k *keeper) carryOut(ctx context.Context, d dial.Dial) {
	p := peer.ID(d.Address.Peer)
	m, err := k.reach(ctx, p, d.Address)
	keep := false
	k.mu.Lock()
	now := time.Now()
	switch {
	case errors.Is(err, errOurs):
		k.core.Void(now, d.Address)
	case err == nil && !isClosed(m.gone): // gone comes after it is closed
		keep = k.core.Connected(now, d.Address)
	default:
		k.core.Failed(now, d.Address)
	}
	k.mu.Unlock()
	if d.Why == dial.Bootstrap {
		k.complain(p, d.Address, err)
	}
	if !keep && !errors.Is(err, errOurs) {
		k.hangUp(p)
	}
	switch {
	case keep:
		k.identified(p)
	case k.roster.standing(p) == greeted: // it dialled us meanwhile
		k.joined(k.roster.get(p))
	}
}

// reach connects to a peer at an address, and waits until its hello is settled.
func (k *keeper) reach(ctx context.Context, p peer.ID, at dial.Address) (*member, error) {
	addr, err := multiaddrOf(at)
	if err != nil {
		return nil, fmt.Errorf("overlay: dial %s: %w", p, err)
	}
	if k.banned(p) {
		return nil, fmt.Errorf("overlay: dial %s: it is banned", p)
	}
	if until, barred := k.roster.barredUntil(p); barred {
		return nil, fmt.Errorf("overlay: dial %s: it was refused at hello; not before %s", p, until.Format(time.RFC3339))
	}
	_, kept := k.kept[p]
	if kept || k.host.Network().Connectedness(p) == network.Connected {
		return nil, fmt.Errorf("%w: %s is connected otherwise", errOurs, p)
	}
	// What else is known of it must not be dialled instead.
	k.host.Peerstore().ClearAddrs(p)
	if err := connect(ctx, k.host, peer.AddrInfo{ID: p, Addrs: []multiaddr.Multiaddr{addr}}); err != nil {
		if ctx.Err() != nil || errors.Is(err, network.ErrResourceLimitExceeded) {
			err = fmt.Errorf("%w: %w", errOurs, err)
		}
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, k.patient+firstBackoff)
	defer cancel()
	m, err := k.welcomed(wait, p)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errOurs, err)
	}
	return m, err
}

// welcomed waits until a connected peer said hello.
func (k *keeper) welcomed(ctx context.Context, p peer.ID) (*member, error) {
	m := k.meet(p)
	if m == nil {
		return nil, errTurnedAway
	}
	if err := k.roster.admit(ctx, p); err != nil {
		return nil, fmt.Errorf("overlay: dial %s: %w", p, err)
	}
	if k.roster.standing(p) != greeted {
		return nil, fmt.Errorf("overlay: dial %s: it is a guest", p)
	}
	return m, nil
}

// hangUp closes what we opened to a peer.
func (k *keeper) hangUp(p peer.ID) {
	k.roster.update(p, func(m *member) {
		if m.why == "" {
			m.why = "it was dialled to see whether it answers"
		}
	})
	for _, c := range k.host.Network().ConnsToPeer(p) {
		if c.Stat().Direction == network.DirOutbound {
			_ = c.Close()
		}
	}
}

// complain says that bootstrap peers do not answer, now and then.
func (k *keeper) complain(p peer.ID, at dial.Address, err error) {
	if err == nil || errors.Is(err, errOurs) {
		k.failures.Store(0)
		return
	}
	if n := k.failures.Add(1); n%complainEvery == 1 {
		k.log.Warn("bootstrap peer cannot be reached; trying again for ever", "peer", p, "addr", at.At, "failures", n, "err", err)
	}
}
