package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Ends of local transactions as the store keeps them. A replaced one is
// followed by the id of what replaced it.
const (
	endFinal    = "final"
	endReplaced = "replaced"
	endExpired  = "expired"
	endEvicted  = "evicted"
	endInvalid  = "invalid"
)

func endOf(r mempool.Removal) string {
	switch r.Reason {
	case mempool.Replaced:
		return endReplacedBy(r.By)
	case mempool.Expired:
		return endExpired
	case mempool.Evicted:
		return endEvicted
	case mempool.Included, mempool.Displaced, mempool.Invalid:
	}
	return endInvalid
}

func endReplacedBy(id wire.TxID) string { return endReplaced + " " + id.String() }

// pooled notes what the pool lost and took at a head of that height. What it takes lives
// again, whoever brought it.
func (l *locals) pooled(change mempool.Change, height uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range change.Removed {
		t := l.txs[r.ID]
		if t == nil || r.Reason == mempool.Included {
			continue
		}
		switch {
		case l.staysLocked(t, r):
			l.early[r.ID] = r.Tx
			continue
		case r.Reason == mempool.Displaced:
			continue
		}
		t.height = height
		l.endLocked(r.ID, t, endOf(r))
		l.dueLocked(r.ID, t)
	}
	for _, id := range change.Added {
		l.reviveLocked(id)
	}
}

// endLocked gives t an end, or none, unless its end is decided.
func (l *locals) endLocked(id wire.TxID, t *local, end string) {
	if t.due {
		return
	}
	if end != "" {
		delete(l.early, id)
	}
	if t.end = end; end == endInvalid {
		l.invalid[id] = t
	} else {
		delete(l.invalid, id)
	}
}

// reviveLocked is told of what the pool or a block has taken: it waits no more, and what has not
// been decided yet, as that blocks forbade it, is no end.
func (l *locals) reviveLocked(id wire.TxID) {
	delete(l.early, id)
	if t := l.txs[id]; t != nil {
		t.lapse = ""
		l.endLocked(id, t, "")
	}
}

// lapsed ends a transaction that was accepted and that the pool does not take any more. What
// only the present head forbids may be possible again after a rollback; what merely lacks
// those before it, once they have come; and what has too many before it, once blocks have
// taken some. Where it pays too little more than the pooled rival that has its nonce, that has
// replaced it.
func (l *locals) lapsed(tx validation.CheckedTx, why error, height uint64, rival wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := tx.ID()
	t := l.txs[id]
	if t == nil { // disowned meanwhile
		return
	}
	t.quiet = false // it was to be public by now: if it ever is, it is through us
	switch {
	case waits(why):
		l.early[id] = tx
		l.endLocked(id, t, "")
		return
	case errors.Is(why, validation.Expired):
		l.endLocked(id, t, endExpired)
	case errors.Is(why, validation.Underpriced):
		l.endLocked(id, t, endReplacedBy(rival))
	case errors.Is(why, validation.PoolFull):
		l.endLocked(id, t, endEvicted)
	default:
		t.height = height
		l.endLocked(id, t, endInvalid)
	}
	l.dueLocked(id, t)
}

// dueLocked queues the end of t for the store if it is known and final, and what replaced t, if
// that is why, cannot get lost before it is written.
func (l *locals) dueLocked(id wire.TxID, t *local) {
	if t.due || t.end == "" || t.end == endInvalid { // finalized decides about that one
		return
	}
	if _, by := parseEnd(t.end); by != nil {
		other, barred := l.txs[*by], l.barred[*by]
		if other != nil && !other.durable || len(barred) > 0 {
			if !slices.Contains(barred, id) {
				l.barred[*by] = append(barred, id)
			}
			return
		}
	}
	if t.durable {
		l.queueLocked(id, t)
	}
}

// queueLocked decides the end of t.
func (l *locals) queueLocked(id wire.TxID, t *local) {
	if t.due {
		return
	}
	t.due = true
	delete(l.invalid, id)
	l.ends = append(l.ends, id)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// finalized ends the transactions of blocks that became final, and those that
// such blocks invalidated.
func (l *locals) finalized(blocks []ledger.Ref) {
	if len(blocks) == 0 {
		return
	}
	final := make(map[wire.BlockID]bool, len(blocks))
	for _, r := range blocks {
		final[r.ID] = true
	}
	height := blocks[len(blocks)-1].Height
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, t := range l.txs {
		switch {
		case final[t.block]:
			l.endLocked(id, t, endFinal)
		case t.end != endInvalid || t.height > height:
			continue
		}
		if t.durable {
			l.queueLocked(id, t)
		}
	}
}

// endRetry is how long ends wait for a disk that took them not.
const endRetry = time.Second

// run writes ends down until ctx ends, and then the rest. What a failed disk
// does not take then is found out anew after the next start.
func (l *locals) run(ctx context.Context) error {
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return notFailed(l.flush())
		}
		for err := l.flush(); err != nil && ctx.Err() == nil; err = l.flush() {
			if notFailed(err) != nil {
				return err
			}
			sleep(ctx, endRetry)
		}
	}
}

// flush writes down what has ended so far. What it could not write stays due.
func (l *locals) flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	due := l.ends
	l.ends = nil
	byEnd := make(map[string][]wire.TxID)
	for _, id := range due {
		if t := l.txs[id]; t != nil && t.due {
			byEnd[t.end] = append(byEnd[t.end], id)
		}
	}
	l.mu.Unlock()
	if err := l.writeEnds(byEnd); err != nil {
		l.mu.Lock()
		l.ends = append(due, l.ends...) // those written are forgotten, and skipped the next time
		l.mu.Unlock()
		return err
	}
	return nil
}

// writeEnds writes down what has ended so, and lets go of it.
func (l *locals) writeEnds(byEnd map[string][]wire.TxID) error {
	if len(byEnd) == 0 {
		return nil
	}
	// Only now: what these have ended in may have been decided since.
	if err := l.unwritten(); err != nil {
		return err
	}
	for _, end := range slices.Sorted(maps.Keys(byEnd)) {
		if err := l.store.EndLocalTxs(end, byEnd[end]...); err != nil {
			return err
		}
		l.forget(byEnd[end])
	}
	return nil
}

// forget lets go of what the store answers for from now on.
func (l *locals) forget(ids []wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.txs, id)
	}
}

// parseEnd splits what endOf made.
func parseEnd(end string) (kind string, by *wire.TxID) {
	kind, rest, _ := strings.Cut(end, " ")
	if id, err := wire.ParseTxID(rest); err == nil {
		by = &id
	}
	return kind, by
}
