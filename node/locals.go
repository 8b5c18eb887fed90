package node

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// locals follows the transactions that this node accepted from its own users
// until they end. An end is final when the pool decided it (replaced, expired,
// evicted) or a final block holds the transaction; one that a block invalidated
// may live again as long as that block can be rolled back, by whatever block that
// changes its sender's account.
//
// Its size is bounded by what the pool and the blocks above the final one hold, and held when
// the last of them was rolled back or the node started: that much may wait beside the pool, as
// none of it may be lost. What wallets displace by filling gaps has the bounds of maxEarly.
type locals struct {
	store     *store.Store  // constant
	wake      chan struct{} // holds one token when there are ends to write
	unwritten func() error  // set by newChain, then constant: why no end is to be written down now
	perSender int           // constant: how many of a sender may wait beside the pool before maxEarly holds

	flushing sync.RWMutex // taken before mu; held for reading by who writes what has not ended

	mu      sync.Mutex // guards what follows; taken after the chain's
	txs     map[wire.TxID]*local
	invalid map[wire.TxID]*local               // of txs, those that the blocks above the final one forbid
	ends    []wire.TxID                        // of txs, those whose ends are to be written down
	early   map[wire.TxID]validation.CheckedTx // not pooled: those before theirs are missing, or too many
	barred  map[wire.TxID][]wire.TxID          // by what replaced them and is not on disk yet: their ends are not written before that is
}

type local struct {
	tx      validation.CheckedTx
	calls   int          // of its users that have begun and are not done, while it is not durable
	durable bool         // the store has it
	end     string       // why it left the pool, empty while it has not
	due     bool         // the end is decided: nothing revives it, and no other life begins before it is written down
	height  uint64       // of the head when it was invalidated
	block   wire.BlockID // of the best chain that holds it, zero for none
	told    time.Time    // when it was announced last, zero before
	heard   bool         // enough peers have it: it is announced no more
	quiet   bool         // never announced as ours: peers are not to learn where it began
	before  *local       // an earlier life that ended, until it is clear whether there is another
	lapse   string       // the end that it met before the last call for it began, until something takes it again
}

func newLocals(s *store.Store, pool mempool.Config) *locals {
	return &locals{
		store: s, wake: make(chan struct{}, 1), perSender: max(1, pool.MaxPerSender/earlyShare),
		txs: make(map[wire.TxID]*local), invalid: make(map[wire.TxID]*local),
		early: make(map[wire.TxID]validation.CheckedTx), barred: make(map[wire.TxID][]wire.TxID),
	}
}

// adopt makes tx a local one before it is in the pool and on disk. An end of
// an earlier life is written down first, lest it be taken for one of the new.
func (l *locals) adopt(tx validation.CheckedTx) error {
	for !l.begin(tx) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	return nil
}

// begin is false where the end of an earlier life is due.
func (l *locals) begin(tx validation.CheckedTx) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.txs[tx.ID()]
	if old != nil && old.due {
		return false
	}
	if old == nil || old.end != "" {
		t := &local{tx: tx, before: old}
		if old != nil && !old.durable {
			t.calls, t.before, t.lapse, t.height = old.calls, old.before, old.end, old.height
		}
		l.txs[tx.ID()] = t
		delete(l.invalid, tx.ID())
	}
	l.txs[tx.ID()].calls++
	return true
}

// disown takes back what adopt began, unless it is durable through another call, or may be yet: then it
// has ended as it had before the call.
// An earlier life goes on as it was: a rollback may yet revive what a block invalidated.
func (l *locals) disown(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	if t == nil || t.durable {
		return
	}
	if t.calls--; t.calls > 0 {
		if t.live() && t.lapse != "" {
			l.endLocked(id, t, t.lapse)
		}
		return
	}
	switch {
	case t.before != nil:
		t.before.block = t.block
		l.txs[id] = t.before
		l.endLocked(id, t.before, t.before.end)
	default:
		delete(l.txs, id)
		delete(l.early, id)
		delete(l.invalid, id)
	}
}

// write makes a transaction durable, unless another call did and all of that life has ended and
// been written since: a record without its end would be a new life.
func (l *locals) write(tx validation.CheckedTx, now time.Time) error {
	l.flushing.RLock()
	defer l.flushing.RUnlock()
	l.mu.Lock()
	over := l.txs[tx.ID()] == nil
	l.mu.Unlock()
	if over {
		return nil
	}
	return l.store.PutLocalTx(tx.Tx(), now)
}

// kept notes that the store has the transaction, and says whether that is news. It may have
// left the pool meanwhile; then its end is due.
func (l *locals) kept(id wire.TxID) (news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	if t == nil || t.durable {
		return false
	}
	t.durable, t.before = true, nil
	l.dueLocked(id, t)
	replaced := l.barred[id]
	delete(l.barred, id)
	for _, old := range replaced {
		if t := l.txs[old]; t != nil {
			l.dueLocked(old, t)
		}
	}
	return true
}

// has tells whether the transaction is a local one that has not ended, and
// whether it is on disk.
func (l *locals) has(id wire.TxID) (local, durable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	return t != nil, t != nil && t.durable
}

// keeps tells whether the transaction is a local one that is on disk and has not ended.
func (l *locals) keeps(id wire.TxID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	return t != nil && t.durable && t.end == ""
}

// placed notes which block of the best chain holds a transaction.
func (l *locals) placed(id wire.TxID, block wire.BlockID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		t.block = block
	}
}

// tell notes that a transaction is announced now. It is false for one that is
// not on disk, that enough peers have, or that was announced less than since ago.
func (l *locals) tell(id wire.TxID, now time.Time, since time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	if t == nil || !t.silent(now, since) {
		return false
	}
	t.told = now
	return true
}

func (t *local) silent(now time.Time, since time.Duration) bool {
	return t.durable && !t.quiet && !t.heard && (t.told.IsZero() || now.Sub(t.told) >= since)
}

// silent returns the live transactions that tell would note as announced, in the order of
// nonces.
func (l *locals) silent(now time.Time, since time.Duration) []validation.CheckedTx {
	l.mu.Lock()
	var txs []validation.CheckedTx
	for _, t := range l.txs {
		if t.live() && t.silent(now, since) {
			txs = append(txs, t.tx)
		}
	}
	l.mu.Unlock()
	slices.SortFunc(txs, bySenderAndNonce)
	return txs
}

// echoed notes that enough peers have a transaction. What they lose of it they get by
// reconciliation: to publish it once more would send it through the whole network again.
func (l *locals) echoed(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		t.heard = true
	}
}

// hush keeps a transaction from being announced as ours.
func (l *locals) hush(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		t.quiet = true
	}
}

// taken notes that a transaction has a place outside of the pool: no earlier end of it holds.
func (l *locals) taken(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		t.lapse = ""
	}
}

// unhush has a transaction announced as ours that its user made public.
func (l *locals) unhush(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		t.quiet = false
	}
}

// hushed tells whether a transaction is one that is not to be announced as ours, and has not
// ended, in a block or otherwise.
func (l *locals) hushed(id wire.TxID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	return t != nil && t.quiet && t.live()
}

// live tells whether a transaction is a local one that has not ended, in a block or otherwise.
func (l *locals) live(id wire.TxID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[id]
	return t != nil && t.live()
}

func (t *local) live() bool { return t.end == "" && t.block.IsZero() }

// ended returns the end of a transaction that the store may not know yet.
func (l *locals) ended(id wire.TxID) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.txs[id]; t != nil {
		return t.end
	}
	return ""
}

// revivable returns the transactions of these accounts that blocks forbade, in the order of
// nonces.
func (l *locals) revivable(changed []ledger.AccountState) []validation.CheckedTx {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.invalid) == 0 {
		return nil
	}
	senders := make(map[wire.Address]bool, len(changed))
	for _, a := range changed {
		senders[a.Address] = true
	}
	var txs []validation.CheckedTx
	for _, t := range l.invalid {
		if senders[t.tx.Terms().Sender] {
			txs = append(txs, t.tx)
		}
	}
	slices.SortFunc(txs, bySenderAndNonce)
	return txs
}

func bySenderAndNonce(a, b validation.CheckedTx) int {
	x, y := a.Terms(), b.Terms()
	return cmp.Or(x.Sender.Compare(y.Sender), cmp.Compare(x.Nonce, y.Nonce))
}

// moved notes which block of the best chain holds what. What a rollback gives back counts as
// announced now: peers compare their pools then, and thousands that were published at once
// would go through the whole network before they are done. Of what blocks forbade nobody knows
// which block of another chain does, so that it counts as forbidden by the new head.
func (l *locals) moved(now time.Time, lost, applied []validation.CheckedBlock, height uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(lost) > 0 {
		for _, t := range l.invalid {
			t.height = height
		}
	}
	place := func(b validation.CheckedBlock, at wire.BlockID) {
		for _, tx := range b.Txs() {
			if t := l.txs[tx.ID()]; t != nil {
				t.block = at
				if !at.IsZero() {
					l.reviveLocked(tx.ID())
				} else if !t.told.IsZero() {
					t.told = now
				}
			}
		}
	}
	for _, b := range lost {
		place(b, wire.BlockID{})
	}
	for _, b := range applied {
		place(b, b.ID())
	}
}

// restored takes in a transaction that the store held at the start.
func (l *locals) restored(tx validation.CheckedTx, block wire.BlockID, final bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &local{tx: tx, durable: true, block: block}
	l.txs[tx.ID()] = t
	if final {
		l.endLocked(tx.ID(), t, endFinal)
		l.queueLocked(tx.ID(), t)
	}
}
