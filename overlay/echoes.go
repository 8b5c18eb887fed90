package overlay

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// enoughEchoes is how many peers must have echoed a transaction before it counts as told:
// as many must lie, or lose it, for the network not to have it.
const enoughEchoes = 3

// maxSentTo bounds the peers that are remembered for having been sent a transaction. Of one
// that was sent to more, nobody's answer counts.
const maxSentTo = 64

// echoBook follows transactions of this node's own until the network is known to have them.
// A peer echoes a transaction when the id comes back from it and it did not get the first
// copy from us. It is not safe for concurrent use.
type echoBook struct {
	limits   Limits                  // constant
	networks int                     // in which there must be echoes
	dialled  func() map[peer.ID]bool // the peers that we dialled; nil says none

	txs       map[wire.TxID]*followed
	byMessage map[string]wire.TxID // by what pubsub calls them
	order     []wire.TxID          // of txs, oldest first
	swept     int                  // place in order up to which ends were looked for
	open      int                  // followed and not echoed enough
}

// followed is one transaction in an echoBook.
type followed struct {
	tx      validation.CheckedTx
	message string
	sentTo  []sending // by us, before the peer said that it has it
	echoes  []echo
	done    bool
	next    time.Time // when it is told next
	pause   time.Duration
}

// sending is a peer that we sent a transaction to.
type sending struct {
	peer   peer.ID
	direct bool // on a stream of ours: it passes it on to all its mesh, and so back to us
}

// echo is a peer that has a transaction by another way than us.
type echo struct {
	peer    peer.ID
	network string // group of its address, empty if unknown
}

func newEchoBook(l Limits, networks int) *echoBook {
	return &echoBook{limits: l, networks: networks, txs: make(map[wire.TxID]*followed), byMessage: make(map[string]wire.TxID)}
}

// follow begins with a transaction, which is to be told at the time given. It is false if
// there is no room. One that is followed already stays as it is.
func (b *echoBook) follow(tx validation.CheckedTx, message string, first time.Time) bool {
	id := tx.ID()
	if b.txs[id] != nil {
		return true
	}
	if len(b.txs) >= b.limits.FollowedTxs && !b.dropDone() {
		return false
	}
	b.txs[id] = &followed{tx: tx, message: message, next: first}
	b.byMessage[message] = id
	b.order = append(b.order, id)
	b.open++
	return true
}

// dropDone makes room by forgetting the oldest transaction that was echoed enough.
func (b *echoBook) dropDone() bool {
	for i, id := range b.order {
		if b.txs[id].done {
			b.dropAt(i)
			return true
		}
	}
	return false
}

func (b *echoBook) dropAt(i int) {
	id := b.order[i]
	f := b.txs[id]
	if !f.done {
		b.open--
	}
	delete(b.txs, id)
	delete(b.byMessage, f.message)
	b.order = slices.Delete(b.order, i, i+1)
	if b.swept > i {
		b.swept--
	}
}

// sent notes that we sent a transaction to a peer, on the topic or directly.
func (b *echoBook) sent(id wire.TxID, p peer.ID, direct bool) {
	f := b.txs[id]
	if f == nil || f.done || f.echoedBy(p) {
		return
	}
	if i := f.sentAt(p); i >= 0 {
		f.sentTo[i].direct = f.sentTo[i].direct || direct
		return
	}
	if len(f.sentTo) < maxSentTo {
		f.sentTo = append(f.sentTo, sending{p, direct})
	}
}

// echoed notes that a peer has a transaction. relayed says that it sent it to us on the
// topic, which it would not have done had it had it from us by the topic; else, that it only
// said so. It returns whether the transaction now counts as told, for the first time.
func (b *echoBook) echoed(id wire.TxID, p peer.ID, network string, relayed bool, connected int) (enough bool) {
	f := b.txs[id]
	if f == nil || f.done || f.echoedBy(p) {
		return false
	}
	if len(f.sentTo) >= maxSentTo {
		return false
	}
	if i := f.sentAt(p); i >= 0 && (!relayed || f.sentTo[i].direct) {
		return false
	}
	f.echoes = append(f.echoes, echo{p, network})
	return b.weigh(f, connected)
}

// weigh says whether a transaction counts as told from now on.
func (b *echoBook) weigh(f *followed, connected int) bool {
	networks := make(map[string]bool)
	for _, e := range f.echoes {
		if e.network != "" {
			networks[e.network] = true
		}
	}
	want := min(enoughEchoes, max(1, connected))
	if f.done || len(f.echoes) < want || b.networks > 1 && len(networks) < b.networks {
		return false
	}
	if !b.vouched(f.echoes) {
		return false
	}
	f.done = true
	f.sentTo, f.echoes = nil, nil
	b.open--
	return true
}

// vouched says whether a peer that we dialled is among those that echoed, if there is one:
// whoever wants to silence us can connect to us from as many networks as it likes, but whom
// we dial is ours to choose.
func (b *echoBook) vouched(echoes []echo) bool {
	if b.dialled == nil {
		return true
	}
	dialled := b.dialled()
	return len(dialled) == 0 || slices.ContainsFunc(echoes, func(e echo) bool { return dialled[e.peer] })
}

// due lists what a peer is to be told now, oldest first, within count.
func (b *echoBook) due(now time.Time, p peer.ID, count int) (out []validation.CheckedTx) {
	for _, id := range b.order {
		if len(out) == count {
			break
		}
		if f := b.txs[id]; !f.done && !now.Before(f.next) && !f.echoedBy(p) {
			out = append(out, f.tx)
		}
	}
	return out
}

// told puts off the next telling of a transaction, each time for twice as long.
func (b *echoBook) told(id wire.TxID, now time.Time) {
	if f := b.txs[id]; f != nil {
		f.pause = min(max(b.limits.AnnouncePause, 2*f.pause), b.limits.AnnouncePauseMax)
		f.next = now.Add(f.pause)
	}
}

// sweep forgets transactions that ended, looking at the next count of them, and returns the
// ids of those that count as told because fewer peers are connected by now.
func (b *echoBook) sweep(count, connected int, ended func(validation.CheckedTx) bool) (enough []wire.TxID) {
	for range min(count, len(b.order)) {
		if b.swept >= len(b.order) {
			b.swept = 0
		}
		id := b.order[b.swept]
		b.swept++
		switch {
		case ended(b.txs[id].tx):
			b.dropAt(b.swept - 1)
		case b.weigh(b.txs[id], connected):
			enough = append(enough, id)
		}
	}
	return enough
}

// sentAt is the place of a peer in sentTo, negative if it is not there.
func (f *followed) sentAt(p peer.ID) int {
	return slices.IndexFunc(f.sentTo, func(s sending) bool { return s.peer == p })
}

func (f *followed) echoedBy(p peer.ID) bool {
	return slices.ContainsFunc(f.echoes, func(e echo) bool { return e.peer == p })
}
