package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// partsAge is how long a stream of parts may live.
const partsAge = 24 * time.Hour

// answerCompact takes what a peer opened: a stream of parts of blocks, or a request. The
// first frame tells them apart.
func (b *blockRoad) answerCompact(ctx context.Context, x *exchange) error {
	end := time.Now().Add(b.cfg.Limits.CompactTime + b.cfg.Limits.CompactPatience)
	_ = x.SetReadDeadline(end)
	raw, err := x.read(max(wire.MaxCompactRequest, compact.MaxFrame))
	switch {
	case err != nil:
		return fmt.Errorf("overlay: read compact request: %w", err)
	case compact.IsFrame(raw):
		_ = x.SetDeadline(x.end)
		return b.parts.listen(ctx, x, raw)
	case len(raw) > wire.MaxCompactRequest:
		return fmt.Errorf("overlay: read compact request: %w", FrameTooLarge)
	}
	_ = x.SetDeadline(end)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	leave, ok := b.requests.take(x.peer(), func() {
		x.refuse() // first, for what ends with the context resets the stream as well
		cancel()
	})
	if !ok {
		return errBusy
	}
	defer leave()
	return b.answerRequest(ctx, x, raw)
}

// answerRequest serves the transactions of a block. A block whose header has passed
// through here but whose body is still on its way is waited for, briefly: a header
// travels ahead of its body, so the question may come before the answer is known.
func (b *blockRoad) answerRequest(ctx context.Context, x *exchange, raw []byte) error {
	q, err := wire.DecodeCompactRequest(raw)
	if err != nil {
		return fmt.Errorf("overlay: read compact request: %w: %w", FrameGarbage, err)
	}
	a := &wire.CompactAnswer{ID: q.ID}
	block, err := b.awaitBlock(ctx, q.Block)
	switch {
	case errors.Is(err, NotFound):
		a.Status = wire.StatusNotFound
	case ctx.Err() != nil:
		return ctx.Err() // it went, or lost its place
	case err != nil:
		b.log.Warn("reading a block for a peer failed", "block", q.Block, "err", err)
		a.Status = wire.StatusBusy
	default:
		return b.serveCompact(ctx, x, q, block)
	}
	return x.write(a.AppendTo(nil))
}

// serveCompact answers with what a request names of a block. Its size is known, and
// taken from the peer's budget, before anything is built.
func (b *blockRoad) serveCompact(ctx context.Context, x *exchange, q *wire.CompactRequest, block *wire.Block) error {
	a := &wire.CompactAnswer{ID: q.ID}
	size := 0
	if q.Whole {
		size = block.Size()
	} else {
		// Indexes rise, so that this is never more than the block.
		for _, i := range q.Indexes {
			if int64(i) >= int64(len(block.Txs)) {
				return fmt.Errorf("overlay: compact request: %w: index %d of a block of %d", FrameGarbage, i, len(block.Txs))
			}
			tx := block.Txs[i].Bytes()
			if size += len(tx); size > wire.MaxBlock {
				return fmt.Errorf("overlay: compact request: block %s is over the limit of the format", q.Block)
			}
			a.Txs = append(a.Txs, tx)
		}
	}
	if err := b.desk.spend(ctx, x.peer(), size); err != nil {
		return fmt.Errorf("overlay: answer compact request: %w", err)
	}
	if q.Whole {
		a.Block = block.AppendTo(make([]byte, 0, size))
	}
	return x.write(a.AppendTo(make([]byte, 0, size+size/8+compactSlack)))
}

// compactSlack is what an answer has beside its transactions, tags and lengths apart.
const compactSlack = 64

func (b *blockRoad) awaitBlock(ctx context.Context, id wire.BlockID) (*wire.Block, error) {
	block, err := b.cfg.Chain.Block(id)
	if !errors.Is(err, NotFound) {
		return block, err
	}
	done, ok := b.inProgress(id)
	if !ok {
		return nil, err
	}
	patience := time.NewTimer(b.cfg.Limits.CompactPatience)
	defer patience.Stop()
	select {
	case <-done:
		return b.cfg.Chain.Block(id)
	case <-patience.C:
	case <-ctx.Done():
	}
	return nil, NotFound
}

// askMissing asks a peer for some transactions of a block, which must be the ones that
// their short ids say. A Lie in the error is the peer's.
func (b *blockRoad) askMissing(ctx context.Context, p peer.ID, h validation.CheckedHeader, ids []wire.ShortID, missing []uint32) ([]*wire.Transaction, error) {
	a, err := b.askCompact(ctx, p, &wire.CompactRequest{ID: 1, Block: h.ID(), Indexes: missing})
	if err != nil {
		return nil, err
	}
	if len(a.Txs) != len(missing) {
		return nil, fmt.Errorf("%w: %d transactions of %d", NotAsked, len(a.Txs), len(missing))
	}
	txs := make([]*wire.Transaction, len(missing))
	for k, raw := range a.Txs {
		tx, err := wire.DecodeTransaction(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", BadAnswer, err)
		}
		if wire.ShortIDOf(h.Body().Salt, tx.ID()) != ids[missing[k]] {
			return nil, fmt.Errorf("%w: transaction %s is not number %d of block %s", WrongBody, tx.ID(), missing[k], h.ID())
		}
		txs[k] = tx
	}
	return txs, nil
}

// askWhole asks a peer for a whole block, which must bear the header. Whether its body
// fits is not checked here. A Lie in the error is the peer's.
func (b *blockRoad) askWhole(ctx context.Context, p peer.ID, h validation.CheckedHeader) (*wire.Block, error) {
	a, err := b.askCompact(ctx, p, &wire.CompactRequest{ID: 1, Block: h.ID(), Whole: true})
	if err != nil {
		return nil, err
	}
	block, err := wire.DecodeBlock(a.Block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", BadAnswer, err)
	}
	if block.ID() != h.ID() {
		return nil, fmt.Errorf("%w: block %s instead of %s", NotAsked, block.ID(), h.ID())
	}
	return block, nil
}

// errNotServed says that a peer does not have, or does not have time for, what we asked.
var errNotServed = errors.New("overlay: the peer does not have it, or is busy")

func (b *blockRoad) askCompact(ctx context.Context, p peer.ID, q *wire.CompactRequest) (a *wire.CompactAnswer, err error) {
	x, done, err := b.desk.ask(ctx, p, b.protocol, b.cfg.Limits.CompactTime)
	if err != nil {
		return nil, err
	}
	defer func() { done(err) }()
	if err := x.write(q.AppendTo(nil)); err != nil {
		return nil, fmt.Errorf("overlay: ask for block %s: %w", q.Block, err)
	}
	raw, err := x.read(wire.MaxCompactAnswer)
	if err != nil {
		return nil, fmt.Errorf("overlay: answer for block %s: %w", q.Block, err)
	}
	if a, err = wire.DecodeCompactAnswer(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", BadAnswer, err)
	}
	switch {
	case a.ID != q.ID:
		return nil, fmt.Errorf("%w: answer to another request", NotAsked)
	case a.Status != wire.StatusOK:
		return nil, fmt.Errorf("%w (status %d)", errNotServed, a.Status)
	}
	return a, nil
}
