package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// joinPatience is how long a producer that was told of peers waits for the
// first of them, before it believes to be alone and starts.
const joinPatience = 10 * time.Second

// producer makes the blocks of the slots that are its key's. It never signs two
// headers for one slot: the slot is on disk before the signature is made.
type producer struct {
	key     ed25519.PrivateKey // constant, as all to produced
	address wire.Address
	chain   *chain
	overlay *overlay.Overlay
	logger  *slog.Logger
	meters  *meters
	now     func() time.Time
	waits   bool // there are peers to wait for at the start

	produced atomic.Uint64 // blocks since the start
}

// run produces until ctx ends.
func (p *producer) run(ctx context.Context) error {
	if p.waits {
		p.awaitPeer(ctx)
	}
	g := p.chain.genesis
	for {
		now := validation.UnixMillis(p.now())
		next := uint64(1)
		if slot, begun := g.SlotAt(now); begun {
			next = slot + 1
		}
		expect := func() {}
		if p.ours(next) {
			expect = p.overlay.ExpectBlock
		}
		if !p.await(ctx, next, expect) {
			return nil
		}
		now = validation.UnixMillis(p.now())
		if now < g.SlotStart(next) {
			continue // a nap, or a clock that was set back meanwhile
		}
		p.turn(ctx, now)
	}
}

// await waits until a slot begins, or for the longest nap, and tells whether ctx let it. It
// calls expect when the slot is overlay.BlockLead away.
func (p *producer) await(ctx context.Context, slot uint64, expect func()) bool {
	start := p.chain.genesis.SlotStart(slot)
	until := func() time.Duration {
		now := validation.UnixMillis(p.now())
		return time.Duration(start-min(now, start)) * time.Millisecond
	}
	switch wait := until(); {
	case wait > longestNap+overlay.BlockLead:
		return sleep(ctx, longestNap)
	case wait > overlay.BlockLead:
		if !sleep(ctx, wait-overlay.BlockLead) {
			return false
		}
		expect()
	}
	return sleep(ctx, min(until(), overlay.BlockLead))
}

func (p *producer) ours(slot uint64) bool {
	return p.chain.genesis.ProducerOf(p.chain.Head().Height+1, slot) == p.address
}

// longestNap bounds a wait, so that a clock that is corrected is noticed.
const longestNap = time.Minute

// sleep waits, and tells whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitPeer waits for a peer to learn the head from, for a while: a block on
// an old head would be lost.
func (p *producer) awaitPeer(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	for sleep(ctx, 50*time.Millisecond) {
		for _, peer := range p.overlay.Peers() {
			s := p.overlay.Syncing()
			if peer.Hello != nil && !s.Active && !s.Checking {
				return
			}
		}
	}
}

// turn makes the block of the slot at now, if it is ours to make.
func (p *producer) turn(ctx context.Context, now uint64) {
	slot, begun := p.chain.genesis.SlotAt(now)
	head := p.chain.Head()
	switch {
	case !begun || p.chain.genesis.ProducerOf(head.Height+1, slot) != p.address:
		return
	case slot <= head.Slot: // our clock is behind, or was set back
		p.miss(slot, "clock", fmt.Errorf("the head is of slot %d already", head.Slot))
		return
	case p.awaitsChain(head):
		p.miss(slot, "rescued", errors.New("the chain of this node was in a damaged store, and has not come back from peers; where nobody else has it, stop the node and move its data folder away, to begin anew"))
		return
	case p.behind(head, slot):
		p.miss(slot, "syncing", errors.New("this node is catching up"))
		return
	}
	signed, err := p.chain.store.SignedSlot()
	if err != nil {
		p.miss(slot, "storage", err)
		return
	}
	if slot <= signed {
		p.miss(slot, "signed", fmt.Errorf("slot %d was signed before", signed))
		return
	}
	if err := p.chain.store.SetSignedSlot(slot); err != nil {
		p.miss(slot, "storage", err)
		return
	}
	block, chunks, err := p.make(ctx, slot, now)
	if err == nil {
		p.chain.Observe(block.Header())
		err = p.chain.addBlock(block, true)
	}
	if err != nil {
		p.miss(slot, "failed", err)
		return
	}
	p.produced.Add(1)
	body := block.Header().Body()
	p.logger.Info("made a block", "height", body.Height, "slot", slot, "txs", body.TxCount, "block", block.ID())
	if err := p.overlay.PublishBlock(ctx, block, chunks); err != nil && ctx.Err() == nil {
		p.logger.Warn("the block could not be announced; peers will fetch it", "block", block.ID(), "err", err)
	}
}

// behind tells whether a block of ours would build on a head that others have
// left behind. That a peer claims a higher head is not enough: with a head of
// recent slots we are not behind, whatever anybody says.
func (p *producer) behind(head ledger.Ref, slot uint64) bool {
	round := uint64(len(p.chain.genesis.ProducersAt(head.Height + 1)))
	return p.overlay.Syncing().Active && slot-head.Slot > 2*round+2
}

// awaitsChain tells whether the chain is not back yet that a damaged store had. A block of ours would begin
// another one, on whose accounts nothing that was accepted here is worth anything. How high the chain was
// is no measure: the last blocks may have been ours, and nobody else's.
func (p *producer) awaitsChain(head ledger.Ref) bool {
	if head.Slot >= p.chain.rescued {
		return false
	}
	s := p.overlay.Syncing()
	return head.Height == 0 || s.Active || s.Checking
}

func (p *producer) miss(slot uint64, reason string, why error) {
	p.meters.missed.WithLabelValues(reason).Inc()
	p.logger.Warn("no block in our slot", "slot", slot, "reason", why)
}

// make builds and signs the block of slot on the present head, and the chunks that its header
// signs, nil for a small one.
func (p *producer) make(ctx context.Context, slot, now uint64) (validation.CheckedBlock, *compact.Coded, error) {
	head, txs := p.chain.template(time.UnixMilli(int64(now)))
	block := &wire.Block{Txs: make([]*wire.Transaction, len(txs))}
	parts := make([]validation.Part, len(txs))
	body := &wire.HeaderBody{
		Version: p.chain.genesis.VersionAt(head.Height + 1), Height: head.Height + 1, Parent: head.ID,
		Producer: p.address, FeeRecipient: p.address, Slot: slot, Time: now, TxCount: uint32(len(txs)),
	}
	for i, tx := range txs {
		block.Txs[i], parts[i] = tx.Tx(), validation.Part{Checked: tx}
		body.Size += uint32(tx.Size())
	}
	ids := block.TxIDs()
	if _, err := rand.Read(body.Salt[:]); err != nil {
		return validation.CheckedBlock{}, nil, err
	}
	body.TxRoot = wire.TxRoot(ids)
	body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, ids))
	var chunks *compact.Coded
	if layout, ok := compact.LayoutFor(int(body.Size)); ok {
		var err error
		if chunks, err = compact.Encode(layout, block.Txs); err != nil {
			return validation.CheckedBlock{}, nil, err
		}
		chunks.Describe(body)
	}
	header := wire.SignHeader(p.chain.network, p.key, body)
	checked, err := p.chain.checker.Header(ctx, p.now(), header, validation.Own)
	if err != nil {
		return validation.CheckedBlock{}, nil, err
	}
	made, err := p.chain.checker.Block(checked, parts)
	return made, chunks, err
}

// perTx is what a transaction takes in a block beside its own bytes: a tag and
// a length of up to three bytes.
const perTx = 4

// template picks transactions for a block of that time on the head that it
// returns.
func (c *chain) template(at time.Time) (ledger.Ref, []validation.CheckedTx) {
	limits := c.genesis.Limits
	limit := int(limits.MaxBlockBytes) - wire.MaxHeader - 8
	c.mu.Lock()
	defer c.mu.Unlock()
	txs := c.pool.Template(at, limit, int(limits.MaxBlockTxs))
	size := 0
	for i, tx := range txs {
		if size += tx.Size() + perTx; size > limit {
			return c.ledger.Head(), txs[:i] // a cut at the end keeps the order of nonces
		}
	}
	return c.ledger.Head(), txs
}

func newProducer(n *Node, o *overlay.Overlay) *producer {
	return &producer{
		key: n.home.producer, address: keyfile.Address(n.home.producer), chain: n.chain, overlay: o,
		logger: n.cfg.Logger, meters: n.events.metrics, now: n.cfg.Now, waits: len(n.cfg.Bootstrap) > 0,
	}
}
