package node

import (
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// events turns what happens in the chain into events of the API and numbers of
// the metrics. It is the chain's watcher.
type events struct {
	feed    *api.Feed
	metrics *meters
	observe Observe
	prefix  string // of addresses
	now     func() time.Time
	locals  *locals // set once the chain has it

	included func(ids []wire.TxID) // told what blocks took
	bans     chan struct{}         // holds one token when somebody was banned
	journeys *journeys
	faults   faults
}

func (e *events) publish(ev api.Event) {
	ev.Time = validation.UnixMillis(e.now())
	e.feed.Publish(ev)
}

// tx describes a transaction. Bodies of another application show no transfer.
func (e *events) tx(tx validation.CheckedTx) *api.TxEvent {
	terms := tx.Terms()
	local, _ := e.locals.has(tx.ID())
	ev := &api.TxEvent{
		ID: tx.ID(), Sender: terms.Sender.Encode(e.prefix), Nonce: api.Amount(terms.Nonce),
		Fee: api.Amount(terms.Fee), Size: tx.Size(), Local: local,
	}
	if body, err := wire.DecodeTxBody(tx.Tx().Body()); err == nil && !body.To.IsZero() {
		ev.To, ev.Amount = body.To.Encode(e.prefix), api.Amount(body.Amount)
	}
	return ev
}

// accepted tells that a local transaction is on disk, and in the pool if it has
// not left already.
func (e *events) accepted(tx validation.CheckedTx, pooled bool) {
	e.metrics.accepted.Inc()
	about := e.tx(tx)
	e.publish(api.Event{Kind: api.TxAccepted, Tx: about})
	if pooled {
		e.publish(api.Event{Kind: api.TxPending, Tx: about})
	}
}

// poolChanged tells what came into the pool and what left it without a block.
func (e *events) poolChanged(c mempool.Change, pool *mempool.Pool) {
	for _, id := range c.Added {
		// A local one is told of when it is on disk, in the order of its life.
		if local, durable := e.locals.has(id); local && !durable {
			continue
		}
		if tx, ok := pool.Get(id); ok {
			e.publish(api.Event{Kind: api.TxPending, Tx: e.tx(tx)})
		}
	}
	for _, r := range c.Removed {
		e.metrics.left.WithLabelValues(r.Reason.String()).Inc()
		kind, ok := removalKind(r.Reason)
		if !ok || e.locals.live(r.ID) { // which waits on disk
			continue
		}
		about := e.tx(r.Tx)
		about.Reason = r.Reason.String()
		if !r.By.IsZero() {
			about.By = &r.By
		}
		e.publish(api.Event{Kind: kind, Tx: about})
	}
	stats := pool.Stats()
	e.metrics.poolCount.Set(float64(stats.Count))
	e.metrics.poolBytes.Set(float64(stats.Bytes))
}

// ended tells of a local transaction that ended while it was not in the pool.
func (e *events) ended(tx validation.CheckedTx, end string) {
	how, by := parseEnd(end)
	if kind, ok := kindOfEnd(how); ok {
		about := e.tx(tx)
		about.By = by
		e.publish(api.Event{Kind: kind, Tx: about})
	}
}

// kindOfEnd is the event for an end that is kept of a local transaction.
func kindOfEnd(end string) (api.Kind, bool) {
	switch end {
	case endReplaced:
		return api.TxReplaced, true
	case endExpired:
		return api.TxExpired, true
	case endEvicted:
		return api.TxEvicted, true
	case endInvalid:
		return api.TxInvalid, true
	}
	return "", false
}

func removalKind(r mempool.Reason) (api.Kind, bool) {
	switch r {
	case mempool.Replaced:
		return api.TxReplaced, true
	case mempool.Expired:
		return api.TxExpired, true
	case mempool.Evicted, mempool.Displaced:
		return api.TxEvicted, true
	case mempool.Invalid:
		return api.TxInvalid, true
	case mempool.Included: // the block's event says so
	}
	return "", false
}

// describe lists the events of a block and all that it moved, in the order of
// the chain.
func (e *events) describe(n headNews) []api.Event {
	var list []api.Event
	for _, r := range n.change.RolledBack {
		list = append(list, api.Event{Kind: api.Rollback, Block: e.block(r, n)})
	}
	for i, r := range n.change.Applied {
		about := e.block(r, n)
		list = append(list, api.Event{Kind: api.BlockAdded, Block: about})
		for _, tx := range n.applied[i].Txs() {
			list = append(list, api.Event{Kind: api.TxIncluded, Tx: e.tx(tx), Block: about})
		}
	}
	for _, r := range n.change.NewlyFinal {
		list = append(list, api.Event{Kind: api.BlockFinal, Block: e.block(r, n)})
	}
	return list
}

func (e *events) moved(ready []api.Event) {
	for _, ev := range ready {
		e.publish(ev)
	}
}

// headChanged tells those who watch from within the process.
func (e *events) headChanged(n headNews) {
	e.metrics.headChanged(n)
	for _, b := range n.applied {
		ids := make([]wire.TxID, len(b.Txs()))
		for i, tx := range b.Txs() {
			ids[i] = tx.ID()
		}
		e.included(ids)
	}
	if e.observe.BlockAdded != nil {
		e.observe.BlockAdded(n.added, n.own)
	}
	if e.observe.HeadChanged != nil {
		e.observe.HeadChanged(n.change)
	}
}

func (e *events) block(r ledger.Ref, n headNews) *api.BlockEvent {
	note := n.notes[r.ID]
	ev := &api.BlockEvent{ID: r.ID, Height: r.Height, Slot: r.Slot, TxCount: note.txCount, Journey: e.journeys.get(r.ID)}
	if !note.producer.IsZero() {
		ev.Producer = note.producer.Encode(e.prefix)
	}
	return ev
}

func (e *events) evidence(ev *wire.Evidence) {
	e.metrics.evidence.Inc()
	body := ev.First.Body()
	e.publish(api.Event{Kind: api.Evidence, Evidence: &api.EvidenceEvent{
		Producer: body.Producer.Encode(e.prefix), Slot: body.Slot, First: ev.First.ID(), Second: ev.Second.ID(),
	}})
}

func (e *events) peerJoined(p overlay.PeerInfo) {
	about := &api.PeerEvent{ID: p.ID.String(), Guest: p.Guest}
	if len(p.Addrs) > 0 {
		about.Addr = p.Addrs[0].String()
	}
	e.publish(api.Event{Kind: api.PeerJoined, Peer: about})
}

func (e *events) peerLeft(id, why string) {
	e.publish(api.Event{Kind: api.PeerLeft, Peer: &api.PeerEvent{ID: id, Reason: why}})
}
