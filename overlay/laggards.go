package overlay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// laggardsEvery is how long peers are watched before they are compared.
	laggardsEvery = 10 * time.Second
	// laggardStuck is how long nothing that waits for a peer moves before it counts as
	// not reading: far longer than a heartbeat, half of what is watched.
	laggardStuck = 5 * time.Second
)

// errNotReading says that a peer does not read what it is sent, while others do.
var errNotReading = errors.New("overlay: does not read what it is sent, while others do")

// followLaggards charges the peers that do not read, until ctx ends. A pause of our own
// proves nothing, so what it falls into is not looked at.
func (o *Overlay) followLaggards(ctx context.Context) {
	last := time.Now()
	every(ctx, laggardsEvery, func() {
		now := time.Now()
		readings, late := o.txs.outflow.readings(now), now.Sub(last) > 3*laggardsEvery/2
		last = now
		if late {
			return
		}
		for _, p := range peerscore.Laggards(readings) {
			o.court.judge(peer.ID(p), errNotReading)
		}
	})
}

// readings is what each peer was sent and did not take since the last call, by peer.
func (o *outflow) readings(now time.Time) []peerscore.Reading {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]peerscore.Reading, 0, len(o.ways))
	for p, w := range o.ways {
		list = append(list, peerscore.Reading{
			Peer: peerscore.PeerID(p), Sent: w.sent, Dropped: w.dropped,
			Stuck: w.depth > 0 && now.Sub(w.moved) > laggardStuck,
		})
		w.sent, w.dropped = 0, 0
	}
	slices.SortFunc(list, func(a, b peerscore.Reading) int { return cmp.Compare(a.Peer, b.Peer) })
	return list
}

// dropped counts what did not fit into the queue of a peer. One that was forgotten begins
// anew.
func (o *outflow) dropped(p peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wayLocked(p).dropped++
}
