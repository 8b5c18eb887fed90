package core

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// grace is how long a node must stay up after a message was made for its
// delivery to be expected. Far more than a healthy delivery takes.
const grace = 5 * time.Second

// harvest is what was seen of one kind of content.
type harvest struct {
	report.Spread
	latency report.Sample
	bytes   uint64 // of data, once per delivered pair
}

// reap compares what was made with what receivers saw.
func (w *world) reap() (tx, block *harvest, floor report.Sample) {
	tx, block = new(harvest), new(harvest)
	paths := make(map[int][]time.Duration)
	for _, r := range w.watch.made {
		if !r.counts {
			continue
		}
		h := tx
		if r.message.Kind == Block {
			h = block
		}
		h.Published++
		if paths[r.origin] == nil {
			paths[r.origin] = w.floors(r.origin)
		}
		for i := range w.seats {
			if i == r.origin || !w.roles.honest(i) {
				continue
			}
			known := r.known[i] != never
			if !known && !w.seats[i].alive(r.at, r.at+grace) {
				continue // it was away
			}
			h.Expected++
			if !known {
				continue
			}
			h.Delivered++
			h.bytes += uint64(r.size)
			h.latency.AddDuration(r.known[i] - r.at)
			if d := paths[r.origin][i]; d != unreachable {
				floor.AddDuration(d)
			}
		}
	}
	for _, of := range []struct {
		*harvest
		kind Kind
	}{{tx, Tx}, {block, Block}} {
		h, copies := of.harvest, w.watch.copies[of.kind]
		h.DeliveryRatio = report.Ratio(float64(h.Delivered), float64(h.Expected))
		h.LatencyMS = h.latency.Percentiles()
		if h.Delivered > 0 && copies >= h.Delivered { // fewer came by other roads
			h.CopiesPerDelivery = report.Ratio(float64(copies), float64(h.Delivered))
		}
	}
	return tx, block, floor
}

// report puts the run together.
func (w *world) report() *report.Report {
	tx, block, floor := w.reap()
	sent, payload := w.network.wire()-w.course.load0, tx.bytes+block.bytes
	hash := w.trail.hash()
	r := &report.Report{
		Scenario: w.s.Name, World: report.WorldCore, Relay: w.s.Relay, Seed: w.s.Seed, Nodes: w.s.Nodes,
		Links: w.course.links, VirtualS: report.Measured(w.last.Seconds()),
		Tx:      report.Tx{Spread: tx.Spread, Refused: &w.refused, Dropped: &w.network.dropped},
		Block:   report.Block{Spread: block.Spread},
		FloorMS: floor.Percentiles(),
		Bytes: report.Bytes{
			Wire: &sent, PayloadDelivered: payload, WirePerPayload: report.Ratio(float64(sent), float64(payload)),
		},
		Attack:    w.attack(),
		TraceHash: &hash,
	}
	if quiet := w.start - w.course.idleFrom; quiet > 0 {
		r.Bytes.IdlePerNodeS = report.Ratio(float64(w.course.load0-w.course.idle0)/quiet.Seconds(), float64(w.s.Nodes))
	}
	w.chains(r)
	if w.census != nil {
		r.Members = w.census.report(w.s.Nodes, w.last)
	}
	w.explain(r)
	return r
}

// Torn begins the note on a run in which final blocks exclude each other. In a
// parted network that is nobody's fault: a producer that built on one half's
// chain builds on the other's once it hears of it and finds it better, and half
// of the nodes may hold the first to be final by then.
const Torn = "finality is torn"

// chains says how the chains of honest nodes ended.
func (w *world) chains(r *report.Report) {
	if w.s.Blocks.Count == 0 && w.s.Blocks.Producers == 0 {
		return
	}
	heads := make(map[wire.BlockID]bool)
	final := make(map[uint64]wire.BlockID)
	rollbacks, torn := 0, false
	var best *chain
	for i := range w.seats {
		n, ok := w.seats[i].machine.(chained)
		if !ok || !w.seats[i].up || !w.roles.honest(i) {
			continue
		}
		c := n.chainState()
		heads[c.ledger.Head().ID] = true
		rollbacks += c.rolledBack
		for height, id := range c.audit.blocks {
			was, ok := final[height]
			torn = torn || ok && was != id
			final[height] = id
		}
		if best == nil || c.ledger.Head().Height > best.ledger.Head().Height {
			best = c
		}
	}
	if best == nil {
		return
	}
	head := best.ledger.Head()
	r.Chain = report.Chain{Heads: report.Measured(len(heads)), Height: report.Measured(head.Height), Rollbacks: &rollbacks}
	r.Tx.Included = report.Measured(w.included(best, head))
	if torn {
		r.Note("%s: more than half of the producers built on each of two chains, one of them on both, and nobody goes back", Torn)
	}
}

// included counts the load's transactions in the chain that ends in head.
func (w *world) included(c *chain, head ledger.Ref) int {
	in := make(map[wire.TxID]bool)
	for id := head.ID; ; {
		k, ok := c.blocks[id]
		if !ok {
			break
		}
		for _, tx := range k.block.Block().TxIDs() {
			in[tx] = true
		}
		id = k.block.Header().Body().Parent
	}
	count := 0
	for _, r := range w.watch.made {
		if r.counts && r.message.Kind == Tx && in[wire.TxIDOf(r.message.Data)] {
			count++
		}
	}
	return count
}

func (w *world) attack() report.Attack {
	a := report.Attack{Attackers: w.s.Attacking(), Kind: report.NoAttack}
	if a.Attackers == 0 {
		return a
	}
	a.Kind = ""
	for i, b := range w.s.Attackers {
		if i > 0 {
			a.Kind += "+"
		}
		a.Kind += b.Kind
	}
	var took []time.Duration
	for node, at := range w.course.evicted {
		took = append(took, at-w.start-w.roles.attacker[node].From)
	}
	slices.Sort(took)
	a.EvictedRatio = report.Ratio(float64(len(took)), float64(a.Attackers))
	if n := len(took); n > 0 {
		a.TimeToEvictS = &report.EvictedS{P50: took[(n-1)/2].Seconds(), Max: took[n-1].Seconds()}
	}
	a.HonestBanned = &w.course.honestBanned
	return a
}

// explain writes down what a reader must know.
func (w *world) explain(r *report.Report) {
	t := w.network.total
	r.Note("%d steps; %d messages sent, %d arrived, %d lost, %d cut off, %d in flight at the end", w.steps, t.sent, t.arrived, t.lost, t.cut, t.flying)
	r.Note("world core reads no clock: wall_s is 0, and heap and processor time are null")
	r.Note("no transport is modelled: messages are lost whole, and acknowledgements and handshakes are not in the bytes")
	if w.s.Blocks.Count > 0 && w.s.Blocks.Pooled > 0 {
		r.Note("blocks travel whole here, whatever the pools hold")
	}
	if n := len(w.roles.origins); w.s.Txs.PerSecond > 0 && n > MaxWallets {
		r.Note("%d of %d origins have a wallet and send", MaxWallets, n)
	}
	if w.refused > 0 {
		r.Note("%d submissions were refused, the first with: %v", w.refused, w.why)
	}
	if h := r.Chain.Heads; h != nil && *h > 1 {
		r.Note("honest nodes ended on %d different heads", *h)
	}
}
