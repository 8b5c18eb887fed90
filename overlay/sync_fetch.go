package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// maxRestarts is how often following one peer may begin anew because its chain parts
// from ours further back, or changed meanwhile.
const maxRestarts = 4

// errEnough ends a fetch from our side.
var errEnough = errors.New("overlay: enough")

// errElsewhere says that a block's parent is not ours: the chains part further back.
var errElsewhere = errors.New("overlay: parent is on another branch")

// follow brings the chain of p in, from where it parts from ours. A Lie or a Fault in the
// error is the peer's.
func (s *syncer) follow(ctx context.Context, p peer.ID, target uint64) error {
	w := new(slice)
	defer func() { s.measured(p, w) }()
	var (
		restarts = 0
		next     = s.cfg.Chain.Head().Height + 1
		err      error
	)
	if target < next {
		next, err = s.ancestor(ctx, p, target, w)
	}
	for err == nil {
		var (
			before = next
			end    head
		)
		end, err = s.fetch(ctx, p, next, uint32(s.cfg.Limits.SyncBlocks), w, func(b *wire.Block) error {
			if got := b.Header.Body().Height; got != next {
				return fmt.Errorf("%w: height %d instead of %d", NotAsked, got, next)
			}
			if err := s.take(ctx, p, b); err != nil {
				return err
			}
			next++
			w.got(b.Size())
			return s.hurry(p, w)
		})
		switch {
		case errors.Is(err, errElsewhere):
			if restarts++; restarts > maxRestarts {
				return fmt.Errorf("overlay: the peer's chain keeps changing: %w", err)
			}
			next, err = s.ancestor(ctx, p, target, w)
		case err == nil && next == before && end.height >= next:
			return fmt.Errorf("%w: claims height %d and gives nothing from %d", errNotServed, end.height, next)
		case err == nil && next == before: // nothing more
			s.roster.correct(p, end)
			return nil
		case err == nil && s.cfg.Chain.Head().Height == next-1 && s.better(p, w):
			return nil // another may be quicker, and can go on from here
		}
	}
	return err
}

// ancestor finds the height from which on p has blocks that we lack and whose parent we
// have, stepping back twice as far each time.
func (s *syncer) ancestor(ctx context.Context, p peer.ID, target uint64, w *slice) (uint64, error) {
	from := max(1, min(s.cfg.Chain.Head().Height+1, target))
	for step := uint64(1); ; step *= 2 {
		var parent *wire.BlockID
		end, err := s.fetch(ctx, p, from, 1, w, func(b *wire.Block) error {
			if got := b.Header.Body().Height; got != from {
				return fmt.Errorf("%w: height %d instead of %d", NotAsked, got, from)
			}
			if err := s.signed(ctx, b.Header); err != nil {
				return err
			}
			if err := s.hurry(p, w); err != nil {
				return err
			}
			parent = &b.Header.Body().Parent
			return errEnough
		})
		switch {
		case err != nil && !errors.Is(err, errEnough):
			return 0, err
		case parent == nil && end.height >= from:
			// Its chain may have changed just now, so this proves no lie.
			return 0, fmt.Errorf("%w: claims height %d and has no block at %d", errNotServed, end.height, from)
		case parent == nil && (end.height == 0 || s.cfg.Chain.HasBlock(end.id)):
			return from, nil // the peer has nothing that we lack
		case parent == nil:
			from = max(1, end.height) // its chain is lower than it was
			continue
		case from == 1 && *parent != s.genesis:
			return 0, fmt.Errorf("%w: block of height 1 does not follow genesis", BadAnswer)
		case from == 1 || s.cfg.Chain.HasBlock(*parent):
			return from, nil
		}
		from -= min(step, from-1)
	}
}

// take checks one block and gives it to the chain.
func (s *syncer) take(ctx context.Context, p peer.ID, b *wire.Block) error {
	if s.cfg.Chain.HasBlock(b.ID()) {
		return nil
	}
	h, err := s.cfg.Checker.Header(ctx, s.cfg.Now(), b.Header, validation.Sync)
	switch {
	case errors.Is(err, validation.UnknownParent):
		return errElsewhere
	case err != nil:
		return headerFault{err}
	}
	parts := make([]validation.Part, len(b.Txs))
	for i, tx := range b.Txs {
		parts[i].Tx = tx
	}
	block, err := s.cfg.Checker.Block(h, parts)
	if err == nil {
		err = s.cfg.Chain.AddBlock(ctx, block, peerscore.PeerID(p))
	}
	switch {
	case errors.Is(err, validation.AlreadyKnown):
		return nil
	case errors.Is(err, validation.BadTxRoot), errors.Is(err, validation.BadBlock):
		// Whoever serves a block as part of its chain has checked it.
		return fmt.Errorf("%w: %v", WrongBody, err) //nolint:errorlint // the Lie is the kind
	case err != nil:
		return fmt.Errorf("overlay: add block %s: %w", b.ID(), err)
	}
	s.added(b.ID())
	return nil
}

// fetch asks p for count blocks from a height on and gives each to take, which may end
// it. The answer's end says where the peer's chain ends. w measures how long it took.
func (s *syncer) fetch(ctx context.Context, p peer.ID, from uint64, count uint32, w *slice, take func(*wire.Block) error) (end head, err error) {
	x, done, err := s.desk.ask(ctx, p, s.protocol, s.cfg.Limits.SyncTime)
	if err != nil {
		return end, err
	}
	defer func() { done(err) }()
	q := wire.SyncRequest{ID: 1, FromHeight: from, Count: count}
	if err := x.write(q.AppendTo(nil)); err != nil {
		return end, fmt.Errorf("overlay: ask for blocks: %w", err)
	}
	for range uint64(count) + 1 {
		stall := time.Now().Add(s.cfg.Limits.SyncStall)
		if stall.After(x.end) {
			stall = x.end
		}
		if err := x.SetReadDeadline(stall); err != nil {
			return end, err
		}
		asked := time.Now()
		raw, err := x.read(wire.MaxSyncAnswer)
		w.wait(time.Since(asked))
		if err != nil {
			return end, fmt.Errorf("overlay: read blocks: %w", err)
		}
		a, err := wire.DecodeSyncAnswer(raw)
		switch {
		case err != nil:
			return end, fmt.Errorf("%w: %w", BadAnswer, err)
		case a.ID != q.ID:
			return end, fmt.Errorf("%w: answer to another request", NotAsked)
		case a.Status == wire.StatusEnd:
			return head{a.HeadHeight, a.Head}, nil
		case a.Status != wire.StatusOK:
			return end, fmt.Errorf("%w (status %d)", errNotServed, a.Status)
		}
		block, err := wire.DecodeBlock(a.Block)
		if errors.Is(err, wire.UnknownVersion) {
			return end, fmt.Errorf("overlay: block of a newer version, update this node: %w", err)
		}
		if err != nil {
			return end, fmt.Errorf("%w: %w", BadAnswer, err)
		}
		if err := take(block); err != nil {
			return end, err
		}
	}
	return end, fmt.Errorf("%w: more blocks than asked for", NotAsked)
}
