package local

import (
	"cmp"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// tallied is what the tally makes of a run.
type tallied struct {
	counts    counts
	tx, block report.Spread
	included  int
	phase     [phases]report.Phase
}

// result reads the tally. Nothing may be added to it any more.
func (t *tally) result() tallied {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := tallied{counts: t.counts}
	for _, n := range t.counts.delivered {
		out.tx.Delivered += n
	}
	for _, tx := range t.txs {
		if !tx.accepted {
			continue
		}
		if tx.on.count() == len(t.producers) {
			out.included++
		}
		p := &out.phase[t.phaseLocked(tx.at)].Tx
		p.Published++
		p.Delivered += tx.known.count()
		p.Expected += t.expectedLocked(tx.origin, tx.at, tx.known.has)
	}
	var blocks [phases]report.Sample
	for _, b := range t.blocks {
		if b.producer < 0 {
			continue
		}
		phase := t.phaseLocked(b.at)
		p := &out.phase[phase].Block
		p.Expected += t.expectedLocked(b.producer, b.at, func(node int) bool { _, ok := b.arrived[node]; return ok })
		out.block.Published, p.Published = out.block.Published+1, p.Published+1
		out.block.Delivered, p.Delivered = out.block.Delivered+len(b.arrived), p.Delivered+len(b.arrived)
		for _, at := range b.arrived {
			t.block.AddDuration(max(0, at.Sub(b.at)))
			blocks[phase].AddDuration(max(0, at.Sub(b.at)))
		}
	}
	out.tx.Published = t.counts.accepted
	for _, p := range out.phase {
		out.tx.Expected += p.Tx.Expected
		out.block.Expected += p.Block.Expected
	}
	spreads := []*report.Spread{&out.tx, &out.block}
	for i := range out.phase {
		p := &out.phase[i]
		spreads = append(spreads, &p.Tx, &p.Block)
		p.Tx.LatencyMS, p.Block.LatencyMS = t.during[i].Percentiles(), blocks[i].Percentiles()
	}
	for _, s := range spreads {
		s.DeliveryRatio = report.Ratio(float64(s.Delivered), float64(s.Expected))
	}
	out.tx.LatencyMS, out.block.LatencyMS = t.tx.Percentiles(), t.block.Percentiles()
	return out
}

// expectedLocked is how many daemons should have had what one of them published:
// all others, but for those that were away and did not get it.
func (t *tally) expectedLocked(origin int, at time.Time, has func(node int) bool) int {
	n := 0
	for node := range t.producers {
		if node != origin && (has(node) || !t.excusedLocked(node, at)) {
			n++
		}
	}
	return n
}

// report puts the run together.
func (r *run) report() *report.Report {
	f, t := &r.figures, r.tally.result()
	t.tx.CopiesPerDelivery = copies(f.last.copies-f.first.copies, t.tx.Delivered)
	dropped := int(f.last.dropped - f.first.dropped)
	rebuilt := f.last.rebuilt - f.first.rebuilt
	ids := make([]string, len(r.fleet.daemons))
	for i, d := range r.fleet.daemons {
		ids[i] = d.PeerID
	}
	honest, links := float64(len(ids)), 0
	for _, peers := range f.peers {
		for _, id := range ids {
			if knows(peers, id) {
				links++
			}
		}
	}
	rep := &report.Report{
		Scenario: r.s.Name, World: report.WorldLocal, Relay: r.s.Relay, Seed: r.s.Seed, Nodes: r.s.Nodes,
		Links: links / 2, WallS: time.Since(r.began).Round(time.Millisecond).Seconds(),
		Tx: report.Tx{Spread: t.tx, Refused: &t.counts.refused, Dropped: &dropped},
		Block: report.Block{
			Spread:                     t.block,
			RebuiltWithoutRequestRatio: report.Ratio(rebuilt-(f.last.asked-f.first.asked), rebuilt),
		},
		Bytes:  report.Bytes{PayloadDelivered: t.counts.deliveredBytes},
		Attack: r.siege.attack(r.s),
		Resources: report.Resources{
			HeapMBPerNode:   report.Ratio(f.last.heap/1e6, honest),
			MempoolShare:    &f.mempool,
			CPUS:            report.Measured(f.last.cpu - f.first.cpu),
			CPUSPerNode:     report.Ratio(f.last.cpu-f.first.cpu, honest),
			CPUSPerDelivery: report.Ratio(f.last.cpu-f.first.cpu, float64(t.tx.Delivered+t.block.Delivered)),
		},
	}
	if rep.Attack.Attackers > 0 {
		banned := r.siege.banned(ids, f.peers, f.left)
		rep.Attack.HonestBanned = &banned
		rep.Attack.Before, rep.Attack.During = &t.phase[calm], &t.phase[attacked]
		r.toll.add(&rep.Attack)
	}
	if r.tally.included {
		rep.Tx.Included = &t.included
		rep.Chain = report.Chain{Heads: &f.heads, Height: &f.height, Rollbacks: &t.counts.rolledBack}
	}
	if f.first.wireOK && f.last.wireOK && !(f.last.loopback && len(r.attackers) > 0) {
		wire := f.last.wire - f.first.wire
		rep.Bytes.Wire = &wire
		rep.Bytes.WirePerPayload = report.Ratio(float64(wire), float64(t.counts.deliveredBytes))
		if r.s.Settle > 0 {
			quiet := f.idle1.at.Sub(f.idle0.at).Seconds()
			rep.Bytes.IdlePerNodeS = report.Ratio(float64(f.idle1.wire-f.idle0.wire)/quiet, honest)
		}
	}
	r.explain(rep, t)
	if r.o.Trace {
		rep.Trace = r.trace()
	}
	r.s.Judge(rep)
	return rep
}

// copies is nil where the counters and the deliveries do not cover the same:
// a delivery by block needs no copy.
func copies(handed float64, delivered int) *float64 {
	if handed < float64(delivered) {
		return nil
	}
	return report.Ratio(handed, float64(delivered))
}

// explain writes down what a reader must know.
func (r *run) explain(rep *report.Report, t tallied) {
	rep.Note("latencies are those of this machine; each ends with the millisecond in which the receiver's own event stream says that it knew the message, so they are up to 1 ms too long")
	rep.Note("tx latency begins when the load hands the transaction to a daemon's API, so its checks and its write to disk are in it; block latency begins when the block joins its producer's best chain")
	if rep.Attack.Attackers > 0 {
		rep.Note("an attacker is evicted when no daemon listens to it any more, as the daemons' APIs say every %v; memory and processor time before and during the attack are what daemons say every %v; honest_banned counts daemons that one of the others listened to when the load began and not at the end", siegeEvery, tollEvery)
	}
	switch {
	case rep.Bytes.Wire == nil && rep.Attack.Attackers > 0:
		rep.Note("bytes.wire was not measured: these daemons do not count what they write, and what attackers write crosses the same interface")
	case rep.Bytes.Wire == nil:
	case !r.figures.last.loopback:
		rep.Note("bytes.wire is what the daemons wrote to libp2p streams, above encryption and without headers of packets")
	default:
		rep.Note("bytes.wire is what crossed the loopback interface, all headers included, for all programs of this machine; packets that the kernel handed over in one piece have one header")
	}
	rep.Note("resources are of the daemons alone, without attackers, the event streams that they serve to the observers included; heap includes garbage")
	rep.Note("rebuilt_without_request_ratio leaves out empty blocks")
	if len(r.o.Cores) > 0 {
		rep.Note("daemons were pinned to cores %v, in turns", r.o.Cores)
	}
	if late := r.load.behind(); late > 100*time.Millisecond {
		rep.Note("the load was up to %v late: this machine could not make or take it as fast", late.Round(time.Millisecond))
	}
	if t.counts.refusal != nil {
		rep.Note("%d submissions were refused, the first with: %v", t.counts.refused, t.counts.refusal)
	}
	if n := r.figures.last.blamed - r.figures.first.blamed; n > 0 {
		rep.Note("daemons charged %.0f offences to their peers", n)
	}
	if t.counts.missed > 0 {
		rep.Fail("the observers missed %d events, so deliveries are missing here that may have happened", t.counts.missed)
	}
}

// trace is what plots need. Loopback has no floor worth drawing.
func (r *run) trace() *report.Trace {
	f := &r.figures
	tr := &report.Trace{Usage: f.usage}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
	ids := make([]string, len(r.fleet.daemons))
	for i, d := range r.fleet.daemons {
		ids[i] = d.PeerID
	}
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	for i, d := range r.fleet.daemons {
		role := report.RoleHonest
		if d.Producer != "" {
			role = report.RoleProducer
		}
		tr.Nodes = append(tr.Nodes, report.TraceNode{Role: role, Arrived: r.tally.counts.delivered[i]})
		for _, p := range f.peers[i] {
			j := slices.Index(ids, p.ID)
			meshed := p.InTxMesh || slices.ContainsFunc(peersOf(f.peers, j), func(q api.Peer) bool { return q.ID == ids[i] && q.InTxMesh })
			if j > i && meshed && len(tr.MeshLinks) < report.MaxTraceLinks {
				tr.MeshLinks = append(tr.MeshLinks, [2]int{i, j})
			}
		}
	}
	for _, tx := range r.tally.traced {
		m := report.TraceMessage{Kind: report.KindTx, Origin: tx.origin, AtMS: ms(tx.at.Sub(f.loaded)), Receivers: len(ids) - 1}
		slices.Sort(tx.arrived)
		for _, d := range tx.arrived {
			m.ArrivedMS = append(m.ArrivedMS, ms(d))
		}
		tr.Messages = append(tr.Messages, m)
	}
	slices.SortStableFunc(tr.Messages, func(a, b report.TraceMessage) int { return cmp.Compare(a.AtMS, b.AtMS) })
	return tr
}

func peersOf(all [][]api.Peer, i int) []api.Peer {
	if i < 0 {
		return nil
	}
	return all[i]
}
