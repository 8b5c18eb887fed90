package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// course is what was read off along the way.
type course struct {
	end          time.Time // of the load; what is made later does not count
	wire0, wire1 uint64    // sent until the load began, until the drain was over
	idleBytes    uint64
	idle         time.Duration
	cpu0, cpu1   time.Duration
	cpuKnown     bool
	heap         uint64
	heapPeak     uint64                // of all that watchHeap saw
	links        int                   // that carry the relay, when the load began
	heads        map[wire.BlockID]int  // honest places on each
	height       uint64                // of the highest
	included     int                   // published transactions on the chain of the highest
	lost         int                   // published blocks that are not on it
	honestMesh   *float64              // some time after the attack began; nil if the run did not last so long
	evicted      map[int]time.Duration // attackers that nobody honest knows any more, and how long they lasted
	honestBanned int
	overlapBytes *uint64 // sent while the two loads overlapped; nil where they do not
	convicted    *float64
	victimLinks  *int // honest peers that the victim chose; nil where nobody chooses
	besiegers    *int // attackers linked to it that it did not choose, when the load began

	mu      sync.Mutex // guards what follows
	refused map[ID]error
}

// fillLead is how long before a slot its block's content is put into pools:
// enough for a thousand mempools, less than any slot.
const fillLead = 50 * time.Millisecond

// direct conducts the run: start, settle, load with all that goes wrong in it,
// drain.
func (g *stage) direct(ctx context.Context) error {
	c := &g.course
	c.refused = make(map[ID]error)
	g.status.phase(Starting)
	quiet := g.s.Settle / 2 // by then everybody has found everybody
	if !Sleep(ctx, time.Until(g.load.Add(-quiet))) {
		return nil
	}
	g.status.phase(Settling)
	before := g.world.sent()
	var acts sync.WaitGroup
	within, stop := context.WithCancel(ctx)
	defer acts.Wait()
	defer stop()
	acts.Go(func() { g.blocks(within) })
	if !Sleep(ctx, time.Until(g.load)) {
		return nil
	}
	c.idle, c.idleBytes = quiet, g.world.sent()-before
	if err := g.ready(); err != nil {
		return err
	}
	c.links = g.carrying()
	_, c.besiegers = g.victimLinks()
	g.status.phase(Loading)
	c.wire0 = g.world.sent()
	c.cpu0, c.cpuKnown = cpuTime()
	c.end = g.load.Add(g.s.LoadFor())
	acts.Go(func() { g.txs(within) })
	acts.Go(func() { g.partitions(within) })
	acts.Go(func() { g.churn(within) })
	acts.Go(func() { g.watchOverlap(within) })
	acts.Go(func() { g.watchAttackers(within) })
	acts.Go(func() { g.record(within) })
	acts.Go(func() { g.watchHeap(within) })
	if !Sleep(ctx, time.Until(c.end)) {
		return nil
	}
	g.status.phase(Draining)
	if !g.drain(ctx) {
		return nil
	}
	c.wire1 = g.world.sent()
	c.cpu1, _ = cpuTime()
	c.heap = liveHeap()
	c.honestBanned = g.banned()
	c.victimLinks, _ = g.victimLinks()
	c.convicted = g.convicted()
	g.status.phase(Stopping)
	return nil
}

// drain lets what is under way arrive. Heads are read as late as possible in
// the middle of a slot: at the beginning of one, a new block is just leaving.
func (g *stage) drain(ctx context.Context) bool {
	end := g.course.end.Add(g.s.Drain)
	slot := slotOf(g.s.Blocks)
	quiet := g.load.Add(end.Sub(g.load).Truncate(slot) - slot/2)
	if !Sleep(ctx, time.Until(quiet)) {
		return false
	}
	g.readHeads()
	return Sleep(ctx, time.Until(end))
}

// ready fails where somebody is not there in time: a run with fewer nodes
// than it says would flatter. An attacker whom nobody lets in is there all the same.
func (g *stage) ready() error {
	for _, p := range g.places {
		if p.participant() == nil && p.Attack == nil {
			return fmt.Errorf("seat %d is not ready when the load should begin; give the network a longer settle", p.Number)
		}
	}
	return nil
}

// carrying counts the dialled links whose two ends both know each other to
// take part in the relay.
func (g *stage) carrying() int {
	knows := make([]map[int]bool, len(g.places))
	number := make(map[string]int, len(g.places))
	for i, p := range g.places {
		number[string(p.ID)] = i
	}
	for i, p := range g.places {
		knows[i] = make(map[int]bool)
		if p.participant() == nil {
			continue
		}
		for _, id := range p.participant().Peers() {
			knows[i][number[string(id)]] = true
		}
	}
	n := 0
	for i, near := range undirected(g.graph) {
		for _, j := range near {
			if i < j && knows[i][j] && knows[j][i] {
				n++
			}
		}
	}
	return n
}

// up lists the honest places that can publish now, the first most of them.
func (g *stage) up(most int) []*place {
	var list []*place
	for _, p := range g.places {
		if p.honest && p.participant() != nil {
			list = append(list, p)
		}
		if len(list) == most {
			break
		}
	}
	return list
}

// txs publishes transactions at random times, as wallets do that know nothing
// of each other.
func (g *stage) txs(ctx context.Context) {
	t := g.s.Txs
	if t.PerSecond == 0 {
		return
	}
	rng := stream(g.s.Seed, streamTxs)
	load, err := g.newSource(rng)
	if err != nil {
		g.status.warn(err)
		return
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	for at := g.load.Add(t.From); ; {
		at = at.Add(time.Duration(rng.ExpFloat64() / t.PerSecond * float64(time.Second)))
		if at.After(g.load.Add(t.From+t.For)) || !Sleep(ctx, time.Until(at)) {
			return
		}
		tx, p, undo := load.next()
		if tx == nil {
			continue
		}
		sending.Go(func() {
			if !g.publish(ctx, p, Message{Tx, ID(tx.ID()), tx.Bytes()}) {
				undo()
			}
		})
	}
}

// publish says whether the place took m.
func (g *stage) publish(ctx context.Context, p *place, m Message) bool {
	participant := p.participant()
	if participant == nil {
		return false
	}
	err := participant.Publish(ctx, m)
	if err != nil && ctx.Err() == nil {
		g.course.mu.Lock()
		defer g.course.mu.Unlock()
		g.course.refused[m.ID] = err
	}
	return err == nil
}

// blocks sees to it that a block of the asked size is made in each slot: by
// filling the pools of those that make blocks, or by publishing one where
// nobody makes any.
func (g *stage) blocks(ctx context.Context) {
	b := g.s.Blocks
	if b.Count == 0 {
		return // what the producers make of the load
	}
	rng := stream(g.s.Seed, streamFill)
	m := &mint{g.genesis.ID(), rng}
	for k := range b.Count {
		slot := g.load.Add(b.From + time.Duration(k)*b.Every)
		if !Sleep(ctx, time.Until(slot.Add(-fillLead))) {
			return
		}
		turn := 1 + uint64(k)*slotsPerBlock(b) // slot 0 is before the load
		producer := g.producers[turn%uint64(len(g.producers))]
		if producer.Attack != nil {
			continue // it makes what it likes
		}
		if _, ok := producer.participant().(Maker); ok {
			if err := g.fill(m, k, producer, rng); err != nil {
				g.status.warn(err)
				return
			}
			continue
		}
		blob := m.blob(b.Size)
		if !Sleep(ctx, time.Until(slot)) {
			return
		}
		g.publish(ctx, producer, blob)
	}
}

// fill gives the producer the content of its next block, the k-th, and everybody else
// the share of it that the scenario says.
func (g *stage) fill(m *mint, k int, producer *place, rng *rand.Rand) error {
	checker, err := g.checker()
	if err != nil {
		return err
	}
	txs, err := m.filler(checker, g.s.Blocks, payersOf(g.s), k)
	if err != nil {
		return err
	}
	held := int(g.s.Blocks.Pooled*float64(len(txs)) + 0.5)
	for _, p := range g.places {
		maker, ok := p.participant().(Maker)
		if !ok {
			continue
		}
		some := txs
		if p != producer && held < len(txs) {
			rng.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
			some = txs[:held]
		}
		if err := maker.Fill(some); err != nil && p == producer {
			return fmt.Errorf("fill the pool of seat %d: %w", p.Number, err)
		}
	}
	return nil
}

func (g *stage) partitions(ctx context.Context) {
	for k, part := range g.s.Partitions {
		groups := shared(stream(g.s.Seed, streamGroups+uint64(k)<<32), g.s.Nodes, part.Groups)
		if !Sleep(ctx, time.Until(g.load.Add(part.From))) {
			return
		}
		g.world.wires.split(groups)
		if !Sleep(ctx, time.Until(g.load.Add(part.To))) {
			return
		}
		g.world.wires.split(nil)
		if k == len(g.s.Partitions)-1 {
			g.heal(ctx, groups)
		}
	}
}

// churn restarts places one by one, producers last.
func (g *stage) churn(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for k, c := range g.s.Churn {
		n := c.Restarts(g.s.Nodes)
		var order []*place
		for _, i := range stream(g.s.Seed, streamChurn+uint64(k)<<32).Perm(g.s.Nodes) {
			if p := g.places[i]; p.honest && p.Producer == nil {
				order = append(order, p)
			}
		}
		order = append(order, g.producers...)
		all.Go(func() {
			for i := range n {
				at := c.From + (c.To-c.From)*time.Duration(i)/time.Duration(n)
				if !Sleep(ctx, time.Until(g.load.Add(at))) {
					return
				}
				select {
				case order[i%len(order)].restart <- c.Down:
				default: // it is away already
				}
			}
		})
	}
}

// readHeads asks the honest places that follow a chain where they stand, and
// the one that stands highest what it holds.
func (g *stage) readHeads() {
	c := &g.course
	if len(g.producers) == 0 {
		return
	}
	var best Chain
	for _, p := range g.up(-1) {
		chain, ok := p.participant().(Chain)
		if !ok {
			continue
		}
		height, id := chain.Head()
		if c.heads == nil {
			c.heads = make(map[wire.BlockID]int)
		}
		c.heads[id]++
		if best == nil || height > c.height {
			best, c.height = chain, height
		}
	}
	if best == nil {
		return
	}
	for _, m := range g.published() {
		switch {
		case m.kind == Tx && best.Included(m.id):
			c.included++
		case m.kind == Block && !best.OnChain(m.id):
			c.lost++
		}
	}
}
