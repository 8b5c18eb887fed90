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
	// laggardsLook is how often it is looked at whether the lines of those that seem not to
	// read carry anything.
	laggardsLook = time.Second
	// laggardStuck is how long nothing that waits for a peer moves before it counts as
	// not reading: far longer than a heartbeat, half of what is watched.
	laggardStuck = 5 * time.Second
)

// errNotReading says that a peer does not read what it is sent, while others do.
var errNotReading = errors.New("overlay: does not read what it is sent, while others do")

// followLaggards charges the peers that do not read, until ctx ends. A pause of our own
// proves nothing, so what it falls into is not looked at; nor does a line that carries
// nothing, whose peer may be as eager to read as any, nor one of many that are full.
func (o *Overlay) followLaggards(ctx context.Context) {
	lines := newLifelines(o.host, o.crew)
	watch := watched{since: time.Now()}
	every(ctx, laggardsLook, func() {
		now := time.Now()
		steady := lines.look(ctx, o.txs.outflow.troubled(now))
		o.txs.outflow.excuse(steady)
		over, sure := watch.look(now, o.txs.outflow.jammed(o.txLinks))
		if !over {
			return
		}
		readings := o.txs.outflow.readings(now, steady)
		if !sure {
			return
		}
		for _, p := range peerscore.Laggards(readings) {
			o.court.judge(peer.ID(p), errNotReading)
		}
	})
}

// watched is the time for which peers have been watched.
type watched struct {
	since  time.Time
	jammed bool // most lines were full at some look
}

// look says whether peers are to be compared now, and whether that proves anything.
func (w *watched) look(now time.Time, jammed bool) (over, sure bool) {
	w.jammed = w.jammed || jammed
	lasted := now.Sub(w.since)
	if lasted < laggardsEvery {
		return false, false
	}
	sure = !w.jammed && lasted <= 3*laggardsEvery/2
	*w = watched{since: now}
	return true, sure
}

// troubled are the peers that do not take at once what they are sent.
func (o *outflow) troubled(now time.Time) (peers []peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, w := range o.ways {
		if w.dropped > w.looked || w.depth >= o.limit || w.depth > 0 && now.Sub(w.moved) >= laggardsLook {
			peers = append(peers, p)
		}
	}
	return peers
}

// excuse forgets what was dropped since the last call for those whose lines are not steady.
func (o *outflow) excuse(steady map[peer.ID]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, w := range o.ways {
		if !steady[p] {
			w.dropped = w.looked
		}
		w.looked = w.dropped
	}
}

// readings is what each peer was sent and did not take since the last call, by peer. Only
// those whose lines are steady can be stuck.
func (o *outflow) readings(now time.Time, steady map[peer.ID]bool) []peerscore.Reading {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]peerscore.Reading, 0, len(o.ways))
	for p, w := range o.ways {
		list = append(list, peerscore.Reading{
			Peer: peerscore.PeerID(p), Sent: w.sent, Dropped: w.dropped,
			Stuck: w.depth > 0 && now.Sub(w.moved) > laggardStuck && steady[p],
		})
		w.sent, w.dropped, w.looked = 0, 0, 0
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
