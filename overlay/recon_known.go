package overlay

import (
	"errors"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TxSource is a Pool whose transactions can be reconciled with those of peers.
type TxSource interface {
	TxHolder
	// Tx gives a pooled transaction.
	Tx(id wire.TxID) (validation.CheckedTx, bool)
	// WatchTxs returns the ids of all that is pooled and tells of every later change, in
	// order, until stop is called. changed is quick, may be called with locks held, and
	// keeps neither slice.
	WatchTxs(changed func(added, removed []wire.TxID)) (pooled []wire.TxID, stop func())
}

// TxIndex is a TxSource that knows what is in the chain. Where it does not, what a peer rolled
// back is fetched again by those who still have it in their chain.
type TxIndex interface {
	// Included says whether a block of the best chain has a transaction. It may be asked some
	// thousand times in a row.
	Included(id wire.TxID) bool
}

// MaxReconciled is the largest pool that can be reconciled. A session's set may have more, up to
// recon.MaxSize: what is agreed in it, and what a rollback gives back.
const MaxReconciled = 250_000

const (
	// maxReconNews bounds the changes that wait to be told to sessions. Beyond, all sessions
	// begin anew.
	maxReconNews = 1 << 16

	// What policy refused is not fetched for refusedFor. Then it may be once more: policy moves
	// with what is pooled. A peer with a larger pool, or one that fills with the other halves of
	// conflicts, tells all of it in turn, so that what is forgotten before would be fetched again
	// and again. That is some 15 MB at the most.
	maxRefusedTxs = recon.MaxSize
	refusedFor    = 10 * time.Minute
	// What left the pool is with peers for as long as the block, or their clock, takes.
	maxLeftTxs = 32768
	leftFor    = time.Minute
	// What was delivered takes time to be judged, and may have come too early.
	maxTriedTxs = 16384
	triedFor    = 10 * time.Second
)

// reconNews is one change of what is known.
type reconNews struct {
	id   wire.TxID
	kind reconKind
}

type reconKind uint8

const (
	wasPooled reconKind = iota
	wasRemoved
	wasRefused
)

// reconInbox takes what the pool and the validators tell, under locks of theirs.
type reconInbox struct {
	mu   sync.Mutex // guards what follows
	news []reconNews
	many bool // more came in at once than gossip brings: what a rollback gave back, say
	lost bool // too much came
}

func (b *reconInbox) put(news ...reconNews) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return
	}
	if b.news = append(b.news, news...); len(b.news) > maxReconNews {
		b.news, b.lost = nil, true
	}
}

func (b *reconInbox) take() (news []reconNews, many, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news, many, lost = b.news, b.many, b.lost
	b.news, b.many, b.lost = nil, false, false
	return news, many, lost
}

// changed is told by the pool, and says whether much came in at once.
func (b *reconInbox) changed(added, removed []wire.TxID) (many bool) {
	news := make([]reconNews, 0, len(added)+len(removed))
	for _, id := range added {
		news = append(news, reconNews{id, wasPooled})
	}
	for _, id := range removed {
		news = append(news, reconNews{id, wasRemoved})
	}
	b.put(news...)
	if len(added) <= recon.MaxSmall {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.many = true
	return true
}

// judged is told of every verdict. Only what policy refused counts: what the ledger does not
// take now it may take with the next block, and so it is with a sender's places, of which a block
// that we have not seen yet has freed some where others took it. A pool that gives way to lost
// blocks refuses everything for a moment.
func (b *reconInbox) judged(id wire.TxID, err error) {
	if errors.Is(err, mempool.ErrSenderFull) || errors.Is(err, mempool.ErrGivingBack) {
		return
	}
	if errors.Is(err, validation.Underpriced) || errors.Is(err, validation.FeeTooLow) || errors.Is(err, validation.PoolFull) {
		b.put(reconNews{id, wasRefused})
	}
}

// knownTxs is what is reconciled, all that is pooled, and what need not be fetched beside
// that. What was refused is not reconciled: of a flood each node refuses other transactions,
// and can give none of them to those who would ask for what its set has more than theirs.
// It is not safe for concurrent use.
type knownTxs struct {
	set     *idSet
	refused *lately
	left    *lately
	tried   *lately
}

func newKnownTxs() *knownTxs {
	return &knownTxs{
		set:     newIDSet(),
		refused: newLately(maxRefusedTxs, refusedFor),
		left:    newLately(maxLeftTxs, leftFor),
		tried:   newLately(maxTriedTxs, triedFor),
	}
}

// note takes one change and returns what it means for the set.
func (k *knownTxs) note(now time.Time, n reconNews) (added, removed bool) {
	switch n.kind {
	case wasPooled:
		k.refused.drop(n.id)
		if added = !k.set.has(n.id); added {
			k.set.add(n.id)
		}
	case wasRemoved:
		k.left.put(now, n.id)
		if removed = k.set.has(n.id); removed {
			k.set.remove(n.id)
		}
	case wasRefused:
		k.refused.put(now, n.id)
	}
	return added, removed
}

// wanted says whether an id that a peer tells is worth a request.
func (k *knownTxs) wanted(now time.Time, id wire.TxID) bool {
	return !k.set.has(id) && !k.tried.has(now, id) && !k.declined(now, id)
}

// declined says whether a transaction that is not pooled was, or was refused, of late.
func (k *knownTxs) declined(now time.Time, id wire.TxID) bool {
	return !k.set.has(id) && (k.left.has(now, id) || k.refused.has(now, id))
}
