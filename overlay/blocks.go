package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// maxRebuilding bounds the blocks that wait to be rebuilt; more come by sync.
const maxRebuilding = 64

// blockRoad is the way of blocks. A header that is valid is passed on at once: it proves
// the right to produce, and the body is rebuilt while the header already travels on.
type blockRoad struct {
	self     peer.ID // constant
	protocol protocol.ID
	cfg      Config
	log      *slog.Logger
	roster   *roster
	court    *court
	crew     *crew
	desk     *desk
	parts    *compactor
	seek     func(p peer.ID, height uint64) // asks sync for what gossip cannot give
	ctx      context.Context                //nolint:containedctx // that of Run: a rebuild outlives its validator
	places   chan struct{}                  // bodies that are checked, or fetched whole, at once
	requests *seats                         // requests that are answered at once
	mesh     atomic.Pointer[mesh]
	shelf    *waitingRoom
	twins    *twins
	glanced  *glanced

	mu         sync.Mutex // guards what follows
	rebuilding map[wire.BlockID]*rebuild
}

func newBlockRoad(ctx context.Context, cfg Config, self peer.ID, r *roster, c *court, w *crew, d *desk,
	parts *compactor, g *glanced, seek func(peer.ID, uint64),
) *blockRoad {
	b := &blockRoad{
		self: self, protocol: CompactProtocol(cfg.Genesis.ID()), cfg: cfg, log: cfg.Logger, roster: r, court: c, crew: w, desk: d,
		parts: parts, seek: seek, ctx: ctx,
		places:     make(chan struct{}, cfg.Limits.Rebuilds),
		requests:   newSeats(cfg.Limits.ServeCompact, r.ours),
		shelf:      newWaitingRoom(cfg.Limits),
		twins:      newTwins(cfg.Limits.TwinsAfter),
		glanced:    g,
		rebuilding: make(map[wire.BlockID]*rebuild),
	}
	parts.built, parts.gaveUp = b.built, b.gaveUp
	return b
}

// ownNews travels beside what this node publishes itself on the block topic.
type ownNews struct{}

// validate is the topic's validator. It judges headers only and never waits for a body.
func (b *blockRoad) validate(ctx context.Context, from peer.ID, msg *pubsub.Message) (res pubsub.ValidationResult) {
	if from == b.self {
		return ownMessage[ownNews](msg)
	}
	if !b.crew.enter() {
		return pubsub.ValidationIgnore
	}
	defer b.crew.leave()
	defer func() {
		if r := recover(); r != nil {
			b.log.Error("panic while judging a block", "panic", r)
			res = pubsub.ValidationIgnore
		}
	}()
	if wire.IsEvidence(msg.GetData()) {
		return b.evidence(from, msg.GetData())
	}
	relay, err := b.header(ctx, from, msg.GetData(), 0)
	if err != nil {
		b.court.judge(from, headerFault{err})
		return result(validation.Judge(err))
	}
	if !relay {
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationAccept
}

// header checks a block in compact form and starts to rebuild it. relay says whether it
// is to be passed on now. What comes too early waits, and is passed on when its time has
// come.
func (b *blockRoad) header(ctx context.Context, from peer.ID, raw []byte, tries int) (relay bool, err error) {
	h, ids, err := b.cfg.Checker.Compact(ctx, b.cfg.Now(), raw)
	switch {
	case errors.Is(err, validation.UnknownParent), errors.Is(err, validation.EarlySlot):
		if tries < maxTries {
			b.hold(from, raw, tries, err)
		}
		return false, err
	case err != nil:
		return false, err
	}
	// What waited may be of an earlier connection.
	if tries == 0 && b.twins.sent(from, h.Header()) {
		b.accuseOfTwins(from, h.Header())
	}
	return b.heard(from, h, ids), nil
}

// maxTries is how often a header that came too early is judged again: once for its slot,
// once for its parent. Then it is left to sync.
const maxTries = 2

// hold keeps a header for later. Whatever hinders it, nobody is to blame.
func (b *blockRoad) hold(from peer.ID, raw []byte, tries int, why error) {
	c, err := wire.DecodeCompactBlock(raw)
	if err != nil {
		return // cannot be: it was decoded before
	}
	body := c.Header.Body()
	w := held{id: c.Header.ID(), raw: raw, from: from, since: b.cfg.Now(), tries: tries}
	if errors.Is(why, validation.EarlySlot) {
		tolerance := uint64(b.cfg.Genesis.Limits.ClockToleranceMillis)
		begins := b.cfg.Genesis.SlotStart(body.Slot)
		w.due = time.UnixMilli(int64(min(begins-min(begins, tolerance), maxMillis)))
		if w.due.Sub(w.since) > b.cfg.Limits.WaitingTime {
			return
		}
	} else {
		w.parent = body.Parent
		b.roster.raise(from, head{body.Height, w.id})
		b.seek(from, body.Height)
	}
	if !b.shelf.put(w) {
		b.log.Debug("no room for a header that came too early", "block", w.id, "peer", from)
	}
	// The parent may have been added between check and put.
	if w.due.IsZero() && b.cfg.Chain.HasBlock(w.parent) {
		b.added(w.parent)
	}
}

// heard takes note of a valid header.
func (b *blockRoad) heard(from peer.ID, h validation.CheckedHeader, ids []wire.ShortID) (relay bool) {
	b.roster.raise(from, head{h.Body().Height, h.ID()})
	first, ev := b.cfg.Chain.Observe(h)
	if ev != nil {
		call(b.cfg.Hooks.EvidenceSeen, ev)
		b.crew.spawn(func() { b.publish(b.ctx, ev.AppendTo(nil)) })
	}
	if !first && ev == nil {
		return false // a third header for one turn: proves nothing more
	}
	if first {
		b.roster.brought(from, true)
	}
	call2(b.cfg.Hooks.BlockHeard, h.ID(), peerscore.PeerID(from))
	b.startRebuild(from, h, ids)
	return first
}

// duplicate hears of a further copy of what came before: one more peer has that header.
func (b *blockRoad) duplicate(from peer.ID, raw []byte) {
	c, err := wire.DecodeCompactBlock(raw)
	if err != nil {
		return
	}
	b.parts.heard(from, c.Header.ID())
	if b.twins.again(from, c.Header) {
		b.accuseOfTwins(from, c.Header)
	}
}

// accuseOfTwins charges a peer that sent two blocks of a turn.
func (b *blockRoad) accuseOfTwins(from peer.ID, h *wire.Header) {
	b.court.judge(from, fmt.Errorf("%w: slot %d of %s", errTwins, h.Body().Slot,
		h.Body().Producer.Encode(b.cfg.Genesis.AddressPrefix)))
}

// evidence judges an equivocation that a peer tells.
func (b *blockRoad) evidence(from peer.ID, raw []byte) pubsub.ValidationResult {
	ev, err := b.cfg.Checker.Evidence(raw)
	if err != nil {
		b.court.judge(from, headerFault{err})
		return result(validation.Judge(err))
	}
	if keeper, ok := b.cfg.Chain.(EvidenceKeeper); ok && !keeper.AddEvidence(ev) {
		return pubsub.ValidationIgnore
	}
	call(b.cfg.Hooks.EvidenceSeen, ev)
	return pubsub.ValidationAccept
}

// added wakes the headers that waited for a block, if it is there now.
func (b *blockRoad) added(id wire.BlockID) {
	if !b.cfg.Chain.HasBlock(id) {
		return
	}
	b.cameOtherwise(id)
	for _, w := range b.shelf.children(id) {
		b.crew.spawn(func() { b.again(w) })
	}
}

// again judges a header that waited. It was ignored when it came, and a message that was
// only ignored may be published here as if it were ours: that is how it travels on.
func (b *blockRoad) again(w held) {
	defer func() {
		if r := recover(); r != nil {
			b.log.Error("panic while judging a block that waited", "panic", r)
		}
	}()
	relay, err := b.header(b.ctx, w.from, w.raw, w.tries+1)
	if err != nil {
		b.court.judge(w.from, headerFault{err})
		return
	}
	if relay {
		b.publish(b.ctx, w.raw)
	}
}

// run wakes what waits for its slot, and forgets what waited too long, until ctx ends.
func (b *blockRoad) run(ctx context.Context, m *mesh) {
	b.mesh.Store(m)
	defer b.mesh.Store(nil)
	every(ctx, waitingTick, func() {
		b.twins.beat(waitingTick)
		for _, w := range b.shelf.due(b.cfg.Now()) {
			b.crew.spawn(func() { b.again(w) })
		}
	})
}

// publish puts news on the topic that this node has checked.
func (b *blockRoad) publish(ctx context.Context, raw []byte) {
	m := b.mesh.Load()
	if m == nil {
		return // not running: the block travels by sync
	}
	if err := m.publish(ctx, raw, ownNews{}); err != nil && ctx.Err() == nil {
		b.log.Warn("publishing on the block topic failed", "err", err)
	}
}

// publishOwn announces a block that this node produced and has stored, and gives peers what
// they lack of it, once its header is on its way.
func (b *blockRoad) publishOwn(ctx context.Context, block validation.CheckedBlock, coded *compact.Coded) error {
	if block.IsZero() {
		return errors.New("overlay: publish: the block is not checked")
	}
	m := b.mesh.Load()
	if m == nil {
		return nil // nobody listens yet; peers learn of it from our hello
	}
	release := b.parts.lane.hold()
	defer time.AfterFunc(publishing, release)
	raw := wire.Compact(block.Block()).AppendTo(nil)
	if err := m.publish(ctx, raw, ownNews{}); err != nil {
		return fmt.Errorf("overlay: publish block %s: %w", block.ID(), err)
	}
	b.parts.produce(block, coded)
	b.added(block.ID())
	return nil
}
