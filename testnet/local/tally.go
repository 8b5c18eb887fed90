package local

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

// nodeSet is a set of nodes by their number, at most MaxNodes.
type nodeSet uint64

func (s nodeSet) has(i int) bool { return s>>i&1 == 1 }
func (s *nodeSet) add(i int)     { *s |= 1 << i }
func (s *nodeSet) remove(i int)  { *s &^= 1 << i }
func (s nodeSet) count() int     { return bits.OnesCount64(uint64(s)) }

// tally collects what the daemons' event streams say, and what was submitted.
// Nothing in it is concluded from what was sent. Safe for concurrent use.
type tally struct {
	producers []string // address of each node's producer key; set by newTally, then constant
	included  bool     // blocks are made, so transactions must get into them
	every     int      // of transactions, one in so many is traced; 0 is none

	mu     sync.Mutex // guards what follows
	txs    map[wire.TxID]*txSeen
	blocks map[wire.BlockID]*blockSeen
	open   time.Time // blocks count from here
	attack time.Time // the first attacker begins; zero where there is none
	frozen bool      // blocks made from now on do not count
	away   map[int][]absence
	traced []*txSeen // in the order of submission
	counts counts
	tx     report.Sample
	block  report.Sample
	during [phases]report.Sample // of transactions, by phase
}

// The phases of a run.
const (
	calm     = iota // before the first attacker begins, or all where there is none
	attacked        // since
	phases
)

// phaseLocked is the phase in which something was published.
func (t *tally) phaseLocked(at time.Time) int {
	if t.attack.IsZero() || at.Before(t.attack) {
		return calm
	}
	return attacked
}

// counts are what is counted along the way.
type counts struct {
	submitted, refused, accepted int
	unsettled                    int // accepted, and not yet everywhere
	delivered                    []int
	deliveredBytes               uint64
	rolledBack                   int
	missed                       uint64 // events that an observer lost
	refusal                      error  // the first one
}

// txSeen is what is known of one transaction.
type txSeen struct {
	origin   int
	size     int
	at       time.Time // handed to origin
	accepted bool      // origin said so
	known    nodeSet   // receivers that know it valid
	on       nodeSet   // nodes whose best chain includes it
	arrived  []time.Duration
	traced   bool
}

// blockSeen is what is known of one block.
type blockSeen struct {
	producer int       // -1 until the producer has said so
	at       time.Time // when it said so
	arrived  map[int]time.Time
	txs      map[wire.TxID]struct{}
}

func newTally(producers []string, included bool, every int) *tally {
	return &tally{
		producers: producers, included: included, every: every,
		txs:    make(map[wire.TxID]*txSeen),
		blocks: make(map[wire.BlockID]*blockSeen),
		counts: counts{delivered: make([]int, len(producers))},
	}
}

// submitting begins the watch of a transaction, before any node can speak of
// it.
func (t *tally) submitting(id wire.TxID, origin, size int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tx := &txSeen{origin: origin, size: size, at: now}
	if t.every > 0 && t.counts.submitted%t.every == 0 && len(t.traced) < report.MaxTraceMessages {
		tx.traced = true
		t.traced = append(t.traced, tx)
	}
	t.counts.submitted++
	t.txs[id] = tx
}

// submitted says what the origin answered. What it refused is not expected
// anywhere.
func (t *tally) submitted(id wire.TxID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tx := t.txs[id]
	if err != nil {
		t.counts.refused++
		if t.counts.refusal == nil {
			t.counts.refusal = err
		}
		for node := range t.counts.delivered {
			if tx.known.has(node) {
				t.counts.delivered[node]--
				t.counts.deliveredBytes -= uint64(tx.size)
			}
		}
		if tx.traced {
			t.traced = slices.DeleteFunc(t.traced, func(other *txSeen) bool { return other == tx })
		}
		delete(t.txs, id)
		return
	}
	tx.accepted = true
	t.counts.accepted++
	if !t.settledLocked(tx) {
		t.counts.unsettled++
	}
}

// heard takes one event of a node's own stream, received now. A daemon stamps
// its events with the millisecond that they began in; the end of that
// millisecond, or now if that is earlier, is when they happened at the latest.
func (t *tally) heard(node int, e api.Event, now time.Time) {
	at := time.UnixMilli(int64(e.Time) + 1)
	if now.Before(at) {
		at = now
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case api.TxPending:
		t.changeLocked(e.Tx.ID, func(tx *txSeen) { t.knowsLocked(node, tx, at) })
	case api.TxIncluded:
		t.changeLocked(e.Tx.ID, func(tx *txSeen) {
			t.knowsLocked(node, tx, at)
			tx.on.add(node)
		})
		if b, ok := t.blocks[e.Block.ID]; ok {
			b.txs[e.Tx.ID] = struct{}{}
		}
	case api.BlockAdded:
		t.addedLocked(node, e.Block, at)
	case api.Rollback:
		t.counts.rolledBack++
		if b, ok := t.blocks[e.Block.ID]; ok {
			for id := range b.txs {
				t.changeLocked(id, func(tx *txSeen) { tx.on.remove(node) })
			}
		}
	case api.GapKind:
		t.counts.missed += max(1, e.Gap.Lost)
	default: // not asked for
	}
}

// changeLocked changes a transaction and counts whether it is settled anew.
func (t *tally) changeLocked(id wire.TxID, change func(*txSeen)) {
	tx, ok := t.txs[id]
	if !ok {
		return
	}
	was := t.settledLocked(tx)
	change(tx)
	if is := t.settledLocked(tx); tx.accepted && is != was {
		if is {
			t.counts.unsettled--
		} else {
			t.counts.unsettled++
		}
	}
}

// settledLocked says whether nothing is left to wait for.
func (t *tally) settledLocked(tx *txSeen) bool {
	n := len(t.producers)
	return tx.known.count() == n-1 && (!t.included || tx.on.count() == n)
}

func (t *tally) knowsLocked(node int, tx *txSeen, at time.Time) {
	if node == tx.origin || tx.known.has(node) {
		return
	}
	tx.known.add(node)
	took := max(0, at.Sub(tx.at))
	t.counts.delivered[node]++
	t.counts.deliveredBytes += uint64(tx.size)
	t.tx.AddDuration(took)
	t.during[t.phaseLocked(tx.at)].AddDuration(took)
	if tx.traced {
		tx.arrived = append(tx.arrived, took)
	}
}

func (t *tally) addedLocked(node int, e *api.BlockEvent, at time.Time) {
	b, ok := t.blocks[e.ID]
	if !ok {
		b = &blockSeen{producer: -1, arrived: make(map[int]time.Time), txs: make(map[wire.TxID]struct{})}
		t.blocks[e.ID] = b
	}
	if e.Producer != "" && e.Producer == t.producers[node] {
		// A block may come back after a rollback; it was made once.
		if b.producer < 0 && !t.open.IsZero() && at.After(t.open) && !t.frozen {
			b.producer, b.at = node, at
		}
		return
	}
	if _, ok := b.arrived[node]; !ok {
		b.arrived[node] = at
	}
}

// absence is a time in which a daemon was away; without an end it still is.
type absence struct{ from, to time.Time }

// left says that a daemon goes away.
func (t *tally) left(node int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away == nil {
		t.away = make(map[int][]absence)
	}
	t.away[node] = append(t.away[node], absence{from: now})
}

// back says that it is there again.
func (t *tally) back(node int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away[node][len(t.away[node])-1].to = now
}

// grace is how long a daemon must stay up after a message was published for its
// delivery to be expected: far more than any healthy delivery takes.
const grace = 5 * time.Second

// excusedLocked says whether a daemon need not have something published then.
func (t *tally) excusedLocked(node int, at time.Time) bool {
	return slices.ContainsFunc(t.away[node], func(a absence) bool {
		return at.Add(grace).After(a.from) && (a.to.IsZero() || at.Before(a.to))
	})
}

// begin lets blocks count, and says when the first attacker begins; zero is
// never.
func (t *tally) begin(now, attack time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.attack = now, attack
}

// freeze leaves later blocks out, so that the last one counted has a chance to
// arrive.
func (t *tally) freeze() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frozen = true
}

// settled says whether every accepted transaction is known everywhere and, if
// blocks are made, on every best chain.
func (t *tally) settled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts.unsettled == 0
}

// blocksArrived says whether every block that counts has reached every node.
func (t *tally) blocksArrived() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.blocks {
		if b.producer >= 0 && len(b.arrived) < len(t.producers)-1 {
			return false
		}
	}
	return true
}

// progress is how many transactions were accepted, and how often one arrived.
func (t *tally) progress() (accepted, delivered int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.counts.delivered {
		delivered += n
	}
	return t.counts.accepted, delivered
}
