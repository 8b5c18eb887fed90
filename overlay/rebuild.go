package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// How many peers are asked for a block before the next means is taken.
const (
	missingFrom = 4 // then for the whole block
	wholeFrom   = 3 // then by sync
)

// errNobody says that no peer gave a usable answer. It blames nobody: who lied was
// judged on the spot.
var errNobody = errors.New("overlay: no peer gave the block")

// rebuild is an announced block on its way into the chain: put together from parts, or
// fetched by requests where that did not lead anywhere or the sender of its header takes no
// parts. Whichever way ends first counts.
type rebuild struct {
	from   peer.ID // constant, as all to done
	header validation.CheckedHeader
	ids    []wire.ShortID
	began  time.Time
	done   chan struct{} // closed when it is in the chain, or will not be

	ways  int   // that are still open; belongs to the road's mutex, as err
	err   error // of the last that failed
	asked bool  // requests were begun
}

// startRebuild has the body of a valid header put together, once.
func (b *blockRoad) startRebuild(from peer.ID, h validation.CheckedHeader, ids []wire.ShortID) {
	if b.cfg.Chain.HasBlock(h.ID()) {
		return
	}
	r := &rebuild{from: from, header: h, ids: ids, began: time.Now(), done: make(chan struct{}), ways: 1}
	b.mu.Lock()
	busy := b.rebuilding[h.ID()] != nil
	full := len(b.rebuilding) >= maxRebuilding
	if !busy && !full {
		b.rebuilding[h.ID()] = r
	}
	b.mu.Unlock()
	switch {
	case busy:
		return
	case full:
		b.seek(from, h.Body().Height)
		return
	}
	if !b.crew.spawn(func() {
		b.guard(r, func() {
			known := b.known(h.Body().Salt, ids)
			if !b.parts.open(r, known, func(linked bool) {
				if !linked {
					b.request(r)
				}
			}) {
				b.failed(r, b.ctx.Err())
			}
		})
	}) {
		b.failed(r, b.ctx.Err())
	}
}

// guard makes a panic of ours the failure of one way.
func (b *blockRoad) guard(r *rebuild, work func()) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("panic while rebuilding a block", "block", r.header.ID(), "panic", p)
			b.failed(r, fmt.Errorf("%w: panic: %v", validation.Unavailable, p))
		}
	}()
	work()
}

// built takes a body that was put together from parts.
func (b *blockRoad) built(a compact.Built) {
	r := b.underWay(a.Block)
	if r == nil {
		return
	}
	how := Rebuilt{
		Parts: a.How.Way, FromPool: a.How.Known, Filled: a.How.Filled, Asked: a.How.Asked, Rounds: a.How.Rounds,
		Wanted: a.How.Wanted, Chunks: a.How.Chunks, From: a.How.From,
	}
	b.crew.spawn(func() {
		b.guard(r, func() {
			ctx, cancel := context.WithTimeout(b.ctx, b.cfg.Limits.RebuildTime)
			defer cancel()
			if !b.place(ctx) {
				b.failed(r, ctx.Err())
				return
			}
			defer func() { <-b.places }()
			block, err := b.cfg.Checker.Block(r.header, a.Parts)
			if err == nil {
				err = b.add(ctx, r, block, how)
			}
			b.failed(r, err)
		})
	})
}

// gaveUp has a block fetched by requests that could not be put together; the zero id means
// all of them.
func (b *blockRoad) gaveUp(id wire.BlockID, why error) {
	b.mu.Lock()
	var gone []*rebuild
	for _, r := range b.rebuilding {
		if id.IsZero() || r.header.ID() == id {
			gone = append(gone, r)
		}
	}
	b.mu.Unlock()
	for _, r := range gone {
		b.log.Debug("putting a block together failed; it is asked for", "block", r.header.ID(), "err", why)
		b.request(r)
		b.failed(r, why)
	}
}

// request has a block fetched by requests, as from peers that know nothing else, once.
func (b *blockRoad) request(r *rebuild) {
	b.mu.Lock()
	again := r.asked
	if !again {
		r.asked = true
		r.ways++
	}
	b.mu.Unlock()
	if again {
		return
	}
	if !b.crew.spawn(func() {
		b.guard(r, func() {
			ctx, cancel := context.WithTimeout(b.ctx, b.cfg.Limits.RebuildTime)
			defer cancel()
			stop := make(chan struct{})
			defer close(stop)
			b.crew.spawn(func() { // the other way may be the quicker
				select {
				case <-r.done:
					cancel()
				case <-stop:
				}
			})
			if !b.place(ctx) {
				b.failed(r, ctx.Err())
				return
			}
			defer func() { <-b.places }()
			b.failed(r, b.fetch(ctx, r))
		})
	}) {
		b.failed(r, b.ctx.Err())
	}
}

// place waits for one of the places of bodies that are dealt with at once.
func (b *blockRoad) place(ctx context.Context) bool {
	select {
	case b.places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// add gives a block to the chain.
func (b *blockRoad) add(ctx context.Context, r *rebuild, block validation.CheckedBlock, how Rebuilt) error {
	how.Took, how.Sender = time.Since(r.began), peerscore.PeerID(r.from)
	call2(b.cfg.Hooks.BlockArriving, block.ID(), how)
	err := b.cfg.Chain.AddBlock(ctx, block, peerscore.PeerID(r.from))
	if err != nil && !errors.Is(err, validation.AlreadyKnown) {
		return fmt.Errorf("overlay: add block %s: %w", block.ID(), err)
	}
	if b.end(r) && err == nil {
		how.Took = time.Since(r.began)
		call2(b.cfg.Hooks.BlockRebuilt, block.ID(), how)
	}
	b.added(block.ID())
	return nil
}

// cameOtherwise ends the work on a block that the chain has, and gives it to peers.
func (b *blockRoad) cameOtherwise(id wire.BlockID) {
	r := b.underWay(id)
	if r == nil || !b.end(r) {
		return
	}
	b.crew.spawn(func() {
		if block, err := b.cfg.Chain.Block(id); err == nil {
			b.parts.arrived(id, block.Txs)
		}
	})
}

func (b *blockRoad) underWay(id wire.BlockID) *rebuild {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rebuilding[id]
}

// end forgets a block under way; it is false if that was done before.
func (b *blockRoad) end(r *rebuild) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rebuilding[r.header.ID()] != r {
		return false
	}
	delete(b.rebuilding, r.header.ID())
	close(r.done)
	return true
}

// failed ends one way of a block, with what went wrong on it, if anything. When none is left
// sync takes over. A body that the header signs and that is not valid ends all.
func (b *blockRoad) failed(r *rebuild, err error) {
	b.mu.Lock()
	if err != nil {
		r.err = err
	}
	r.ways--
	left := r.ways
	err = r.err
	b.mu.Unlock()
	invalid := errors.Is(err, validation.BadBlock)
	if left > 0 && !invalid || !b.end(r) {
		return
	}
	id, body := r.header.ID(), r.header.Body()
	switch {
	case err == nil, errors.Is(err, validation.AlreadyKnown), b.ctx.Err() != nil:
		return
	case invalid:
		b.log.Warn("a producer signed an invalid block", "block", id, "height", body.Height,
			"producer", body.Producer.Encode(b.cfg.Genesis.AddressPrefix), "err", err)
	default:
		b.log.Debug("rebuilding a block failed; sync takes over", "block", id, "err", err)
		b.seek(r.from, body.Height)
	}
	call2(b.cfg.Hooks.BlockFailed, r.header, err)
}

// inProgress gives the channel that closes when a block is rebuilt, or failed to be.
func (b *blockRoad) inProgress(id wire.BlockID) (done <-chan struct{}, ok bool) {
	r := b.underWay(id)
	if r == nil {
		return nil, false
	}
	return r.done, true
}

// fetch puts the body of a valid header together by requests: from what is known, with one
// round of requests for what is lacking, then whole; and gives it to the chain.
func (b *blockRoad) fetch(ctx context.Context, r *rebuild) error {
	var how Rebuilt
	draft := compact.NewDraft(r.header.Body(), r.ids, slices.Values(b.known(r.header.Body().Salt, r.ids)))
	how.FromPool, how.Asked = len(r.ids)-draft.Open(), draft.Open()
	block, giver, err := b.assemble(ctx, r, draft)
	switch {
	case err == nil && giver != "":
		how.Rounds, how.From = 1, []peerscore.PeerID{giver}
	case err == nil:
	case errors.Is(err, validation.BadBlock), errors.Is(err, validation.Unavailable), ctx.Err() != nil:
		return err
	default:
		// Nobody to ask, or a short id of the pool met the wrong transaction.
		if block, giver, err = b.whole(ctx, r.from, r.header); err != nil {
			return err
		}
		how = Rebuilt{Whole: true, From: []peerscore.PeerID{giver}}
	}
	if err := b.add(ctx, r, block, how); err != nil {
		return err
	}
	b.parts.arrived(block.ID(), block.Block().Txs)
	return nil
}

// assemble asks for what is missing and checks the whole. giver is who gave it, empty if
// nothing was missing.
func (b *blockRoad) assemble(ctx context.Context, r *rebuild, draft *compact.Draft) (block validation.CheckedBlock, giver peerscore.PeerID, err error) {
	if parts, ok, err := draft.Close(); ok || err != nil {
		block, err = b.close(r, parts, err)
		return block, "", err
	}
	missing := draft.Missing()
	asked := b.askable(r.from, r.header.Body().Height)
	share := int(uint64(r.header.Body().Size) * uint64(len(missing)) / uint64(len(r.ids)))
	for p, txs := range answers(ctx, b, asked[:min(len(asked), missingFrom)], share,
		func(ctx context.Context, p peer.ID) ([]*wire.Transaction, error) {
			return b.askMissing(ctx, p, r.header, r.ids, missing)
		}) {
		for k, i := range missing {
			if err := draft.Add(i, txs[k], ""); err != nil {
				return validation.CheckedBlock{}, "", err // cannot be: askMissing has looked
			}
		}
		parts, _, err := draft.Close()
		block, err = b.close(r, parts, err)
		return block, peerscore.PeerID(p), err
	}
	return validation.CheckedBlock{}, "", errNobody
}

func (b *blockRoad) close(r *rebuild, parts []validation.Part, err error) (validation.CheckedBlock, error) {
	if err != nil {
		return validation.CheckedBlock{}, err
	}
	return b.cfg.Checker.Block(r.header, parts)
}

// whole asks for the whole block, the sender first, then others.
func (b *blockRoad) whole(ctx context.Context, from peer.ID, h validation.CheckedHeader) (block validation.CheckedBlock, giver peerscore.PeerID, err error) {
	asked := b.askable(from, h.Body().Height)
	for p, body := range answers(ctx, b, asked[:min(len(asked), wholeFrom)], int(h.Body().Size),
		func(ctx context.Context, p peer.ID) (*wire.Block, error) { return b.askWhole(ctx, p, h) }) {
		parts := make([]validation.Part, len(body.Txs))
		for i, tx := range body.Txs {
			parts[i].Tx = tx
		}
		block, err := b.cfg.Checker.Block(h, parts)
		if errors.Is(err, validation.BadTxRoot) {
			b.court.judge(p, fmt.Errorf("%w: block %s", WrongBody, h.ID()))
			continue
		}
		return block, peerscore.PeerID(p), err
	}
	if err := ctx.Err(); err != nil {
		return validation.CheckedBlock{}, "", err
	}
	return validation.CheckedBlock{}, "", fmt.Errorf("%w %s", errNobody, h.ID())
}

// askable lists who can be asked for a block: the peer that sent it, then those that are
// known to be as high, then the others, the quickest first. Guests are never asked.
func (b *blockRoad) askable(from peer.ID, height uint64) []member {
	var first, high, rest []member
	for _, m := range b.roster.heads() {
		switch {
		case m.id == from:
			first = append(first, m)
		case m.best.height >= height:
			high = append(high, m)
		default:
			rest = append(rest, m)
		}
	}
	return slices.Concat(first, high, rest)
}
