package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

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

// rebuild puts the body of a valid header together: from the pool, then with one round
// of requests for what the pool lacks, then whole; and gives it to the chain.
func (b *blockRoad) rebuild(ctx context.Context, from peer.ID, h validation.CheckedHeader, ids []wire.ShortID) (Rebuilt, error) {
	var how Rebuilt
	parts, missing := b.fromPool(h, ids)
	how.FromPool = len(ids) - len(missing)
	block, err := b.assemble(ctx, from, h, ids, parts, missing)
	switch {
	case err == nil:
		how.Asked = len(missing)
	case errors.Is(err, validation.BadBlock), errors.Is(err, validation.Unavailable), ctx.Err() != nil:
		return how, err
	default:
		// Nobody to ask, or a short id of the pool met the wrong transaction.
		how = Rebuilt{Whole: true}
		if block, err = b.whole(ctx, from, h); err != nil {
			return how, err
		}
	}
	if err := b.cfg.Chain.AddBlock(ctx, block, peerscore.PeerID(from)); err != nil {
		return how, fmt.Errorf("overlay: add block %s: %w", h.ID(), err)
	}
	return how, nil
}

// fromPool matches the short ids of a block with the pool.
func (b *blockRoad) fromPool(h validation.CheckedHeader, ids []wire.ShortID) (parts []validation.Part, missing []uint32) {
	parts = make([]validation.Part, len(ids))
	if len(ids) == 0 {
		return parts, nil
	}
	for i, tx := range b.cfg.Pool.Match(h.Body().Salt, ids) {
		if tx.IsZero() {
			missing = append(missing, uint32(i))
			continue
		}
		parts[i].Checked = tx
	}
	return parts, missing
}

// assemble asks for what is missing and checks the whole.
func (b *blockRoad) assemble(ctx context.Context, from peer.ID, h validation.CheckedHeader, ids []wire.ShortID,
	parts []validation.Part, missing []uint32,
) (validation.CheckedBlock, error) {
	if len(missing) == 0 {
		return b.cfg.Checker.Block(h, parts)
	}
	asked := b.askable(from, h.Body().Height)
	share := int(uint64(h.Body().Size) * uint64(len(missing)) / uint64(len(ids)))
	for _, txs := range answers(ctx, b, asked[:min(len(asked), missingFrom)], share,
		func(ctx context.Context, p peer.ID) ([]*wire.Transaction, error) {
			return b.askMissing(ctx, p, h, ids, missing)
		}) {
		for k, i := range missing {
			parts[i].Tx = txs[k]
		}
		return b.cfg.Checker.Block(h, parts)
	}
	return validation.CheckedBlock{}, errNobody
}

// whole asks for the whole block, the sender first, then others.
func (b *blockRoad) whole(ctx context.Context, from peer.ID, h validation.CheckedHeader) (validation.CheckedBlock, error) {
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
		return block, err
	}
	if err := ctx.Err(); err != nil {
		return validation.CheckedBlock{}, err
	}
	return validation.CheckedBlock{}, fmt.Errorf("%w %s", errNobody, h.ID())
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
