package testnet

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

// nodeSet is a set of nodes by their number, at most maxDemoNodes.
type nodeSet uint64

func allNodes(n int) nodeSet { return nodeSet(1)<<n - 1 } // n = 64 overflows to 0 - 1, all bits

func (s nodeSet) has(i int) bool { return s>>i&1 == 1 }
func (s nodeSet) count() int     { return bits.OnesCount64(uint64(s)) }
func (s *nodeSet) add(i int) bool {
	was := s.has(i)
	*s |= 1 << i
	return !was
}

func (s *nodeSet) remove(i int) bool {
	was := s.has(i)
	*s &^= 1 << i
	return was
}

// recentLatencies is how many of the latest deliveries the live percentiles
// of one node are taken from.
const recentLatencies = 512

// maxWatchedBlocks bounds what is remembered of blocks that never become final:
// those of lost forks. It is an hour of ordinary ones.
const maxWatchedBlocks = 4096

// watch collects what every node's hooks say. A hook names the node that
// speaks; nothing here asks a node anything.
type watch struct {
	nodes int // set by newWatch, then constant

	mu     sync.Mutex // guards what follows
	txs    map[wire.TxID]*txWatch
	blocks map[wire.BlockID]*blockWatch
	order  []wire.BlockID // of blocks ever watched, the latest maxWatchedBlocks
	totals totals
	tx     report.Sample
	block  report.Sample
	recent [][]time.Duration // by node
	frozen bool              // blocks made from now on do not count
	closed bool              // nothing counts any more
}

// totals count what does not need remembering one by one.
type totals struct {
	submitted, refused int
	published          int // accepted by the node they were submitted to
	included           int // of those, on the best chain of every node
	settled            int // of those, known to every node too
	delivered          []int
	deliveredBytes     uint64
	copies             int // transaction messages that nodes were handed
	dropped            int // messages given up for load
	offences           int

	blocks, blockDeliveries      int
	rebuilt, rebuiltWithoutAsked int // deliveries of blocks that hold transactions
	rollbacks                    int
}

func (t totals) clone() totals {
	t.delivered = slices.Clone(t.delivered)
	return t
}

// txWatch is what is known of one transaction until it is final everywhere.
type txWatch struct {
	origin   int
	size     int
	at       time.Time // handed to origin
	accepted bool      // origin said so
	known    nodeSet
	included nodeSet
	final    nodeSet
}

// blockWatch is what is known of one block until it is final everywhere.
type blockWatch struct {
	txs      []wire.TxID
	producer int
	at       time.Time // made; zero until the producer has said so
	arrived  map[int]time.Time
	final    nodeSet
}

func newWatch(nodes int) *watch {
	return &watch{
		nodes:  nodes,
		txs:    make(map[wire.TxID]*txWatch),
		blocks: make(map[wire.BlockID]*blockWatch),
		totals: totals{delivered: make([]int, nodes)},
		recent: make([][]time.Duration, nodes),
	}
}

// submitting begins the watch of a transaction, before any node can speak of
// it.
func (w *watch) submitting(id wire.TxID, origin, size int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.submitted++
	w.txs[id] = &txWatch{origin: origin, size: size, at: now}
}

// submitted says what origin answered.
func (w *watch) submitted(id wire.TxID, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx, ok := w.txs[id]
	if !ok {
		return
	}
	if err != nil { // it may have spread all the same; nobody was promised that
		w.totals.refused++
		for node := range w.nodes {
			if tx.known.has(node) {
				w.totals.delivered[node]--
				w.totals.deliveredBytes -= uint64(tx.size)
			}
		}
		delete(w.txs, id)
		return
	}
	tx.accepted = true
	tx.known.add(tx.origin)
	w.totals.published++
	w.countLocked(tx, +1)
	w.forgetLocked(id, tx)
}

// settled says whether all that was accepted is known to every node and on
// every node's best chain.
func (w *watch) settled() bool { return w.unsettled() == 0 }

// unsettled is how many accepted transactions are not.
func (w *watch) unsettled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.totals.published - w.totals.settled
}

// freeze leaves later blocks out, so that the last one counted has a chance to
// arrive.
func (w *watch) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = true
}

// blocksArrived says whether every block that counts has reached every node.
func (w *watch) blocksArrived() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.blocks {
		if b.producer < 0 || len(b.arrived) < w.nodes-1 {
			return false
		}
	}
	return true
}

// close ends all counting.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// read returns the totals and the latencies of transactions and blocks.
func (w *watch) read() (t totals, tx, block *report.Percentiles) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.totals.clone(), w.tx.Percentiles(), w.block.Percentiles()
}

// knows says that node knows a transaction to be valid, by gossip or from a
// block.
func (w *watch) knows(node int, id wire.TxID, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.knowsLocked(node, id, now)
}

func (w *watch) knowsLocked(node int, id wire.TxID, now time.Time) {
	tx, ok := w.txs[id]
	if w.closed || !ok || node == tx.origin || tx.known.has(node) {
		return
	}
	w.countLocked(tx, -1)
	tx.known.add(node)
	w.countLocked(tx, +1)
	took := now.Sub(tx.at)
	w.totals.delivered[node]++
	w.totals.deliveredBytes += uint64(tx.size)
	w.tx.AddDuration(took)
	if len(w.recent[node]) == recentLatencies {
		w.recent[node] = append(w.recent[node][:0], w.recent[node][recentLatencies/2:]...)
	}
	w.recent[node] = append(w.recent[node], took)
}

// added says that node has a block in its ledger.
func (w *watch) added(node int, id wire.BlockID, txs []wire.TxID, own bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tx := range txs {
		w.knowsLocked(node, tx, now)
	}
	if w.closed {
		return
	}
	b, ok := w.blocks[id]
	if !ok {
		if w.frozen {
			return
		}
		b = &blockWatch{txs: txs, producer: -1, arrived: make(map[int]time.Time)}
		w.blocks[id] = b
		w.order = append(w.order, id)
		if len(w.order) > maxWatchedBlocks {
			delete(w.blocks, w.order[0])
			w.order = w.order[1:]
		}
	}
	if own {
		b.producer, b.at = node, now
		w.totals.blocks++
		w.totals.blockDeliveries += len(b.arrived)
		for _, at := range b.arrived { // some were faster than the producer's hook
			w.block.AddDuration(max(0, at.Sub(now)))
		}
		return
	}
	if _, ok := b.arrived[node]; ok {
		return
	}
	b.arrived[node] = now
	if b.producer >= 0 {
		w.totals.blockDeliveries++
		w.block.AddDuration(now.Sub(b.at))
	}
}

// rebuilt says how node put a block together.
func (w *watch) rebuilt(how overlay.Rebuilt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || how.Empty() {
		return // an empty block needs no rebuilding and proves nothing
	}
	w.totals.rebuilt++
	if !how.Requested() {
		w.totals.rebuiltWithoutAsked++
	}
}

// moved says how node's best chain changed.
func (w *watch) moved(node int, rolledBack, applied, final []wire.BlockID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if len(rolledBack) > 0 {
		w.totals.rollbacks++
	}
	w.markLocked(rolledBack, func(tx *txWatch) { tx.included.remove(node) })
	w.markLocked(applied, func(tx *txWatch) { tx.included.add(node) })
	w.markLocked(final, func(tx *txWatch) { tx.final.add(node) })
	for _, id := range final {
		b, ok := w.blocks[id]
		if !ok {
			continue
		}
		b.final.add(node)
		for _, tx := range b.txs {
			if t, ok := w.txs[tx]; ok {
				w.forgetLocked(tx, t)
			}
		}
		if b.final == allNodes(w.nodes) && b.producer >= 0 && len(b.arrived) == w.nodes-1 {
			delete(w.blocks, id)
		}
	}
}

func (w *watch) markLocked(blocks []wire.BlockID, mark func(*txWatch)) {
	for _, id := range blocks {
		b, ok := w.blocks[id]
		if !ok {
			continue
		}
		for _, id := range b.txs {
			if tx, ok := w.txs[id]; ok {
				w.countLocked(tx, -1)
				mark(tx)
				w.countLocked(tx, +1)
			}
		}
	}
}

// countLocked takes tx out of the totals that depend on its sets (by -1), or
// puts it back in.
func (w *watch) countLocked(tx *txWatch, by int) {
	if !tx.accepted || tx.included != allNodes(w.nodes) {
		return
	}
	w.totals.included += by
	if tx.known == allNodes(w.nodes) {
		w.totals.settled += by
	}
}

// forgetLocked ends the watch of a transaction that nothing can happen to any
// more; its share in the totals stays.
func (w *watch) forgetLocked(id wire.TxID, tx *txWatch) {
	all := allNodes(w.nodes)
	if tx.known == all && tx.included == all && tx.final == all {
		delete(w.txs, id)
	}
}

// copy counts one transaction message that a node was handed.
func (w *watch) copy() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.totals.copies++
	}
}

// dropped counts one message that a node gave up for load.
func (w *watch) dropped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.totals.dropped++
	}
}

// blamed counts one offence that a node recorded against another.
func (w *watch) blamed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.totals.offences++
	}
}
