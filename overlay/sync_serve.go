package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

// answerSync serves blocks of the best chain by height, or any stored ones by id: a
// stream of answers of which the last has StatusEnd and says where our chain ends. What
// one request gets is bounded in blocks and bytes; who wants more asks again.
func (s *syncer) answerSync(ctx context.Context, x *exchange) error {
	raw, err := x.read(wire.MaxSyncRequest)
	if err != nil {
		return fmt.Errorf("overlay: read sync request: %w", err)
	}
	q, err := wire.DecodeSyncRequest(raw)
	if err != nil {
		return fmt.Errorf("overlay: read sync request: %w: %w", FrameGarbage, err)
	}
	// Taken first: whatever is served then reaches at least this far.
	ours := s.cfg.Chain.Head()
	end := wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: ours.Height, Head: ours.ID}
	if q.Headers && len(q.Blocks) > 0 {
		s.hears(x.peer(), head{q.FromHeight, q.Blocks[0]})
	}
	if q.Headers {
		if err := s.serveHeaders(ctx, x, q); err != nil {
			return err
		}
	} else if err := s.serveBlocks(ctx, x, q); err != nil {
		return err
	}
	return s.writeInTime(x, end.AppendTo(nil))
}

// hears takes note of where the chain ends of a peer that asks for what follows. It may be
// of headers only that the peer goes by, and a lie; so the peer is asked to show it.
func (s *syncer) hears(p peer.ID, at head) {
	ours := s.cfg.Chain.Head().Height
	if onBestChain(s.cfg.Chain, at) {
		s.roster.claim(p, at) // onto our chain, it may be
		return
	}
	if at.height < ours || s.hasHeader(at.id) {
		return
	}
	s.roster.claim(p, at)
	s.mu.Lock()
	if len(s.claims) < maxSought {
		s.claims[p] = struct{}{}
	}
	s.mu.Unlock()
	s.nudge()
}

// serveBlocks writes the blocks of a request, within bounds.
func (s *syncer) serveBlocks(ctx context.Context, x *exchange, q *wire.SyncRequest) error {
	sent := 0
	for id := range s.wanted(q) {
		if ctx.Err() != nil || sent >= s.cfg.Limits.SyncBytes {
			break
		}
		block, err := s.cfg.Chain.Block(id)
		if errors.Is(err, NotFound) {
			break
		}
		if err != nil {
			s.log.Warn("reading a block for a peer failed", "block", id, "err", err)
			break
		}
		size := block.Size()
		if err := s.desk.spend(ctx, x.peer(), size); err != nil {
			break // no time left at this pace: the rest is for the next request
		}
		a := wire.SyncAnswer{ID: q.ID, Status: wire.StatusOK, Block: block.AppendTo(make([]byte, 0, size))}
		frame := a.AppendTo(make([]byte, 0, size+syncSlack))
		sent += len(frame)
		if err := s.writeInTime(x, frame); err != nil {
			return fmt.Errorf("overlay: answer sync request: %w", err)
		}
	}
	return nil
}

// serveHeaders writes headers of the best chain, from a height or from where the asker's
// locator leaves it, as many as there are and we answer at most.
func (s *syncer) serveHeaders(ctx context.Context, x *exchange, q *wire.SyncRequest) error {
	height, ok := s.meet(q)
	for left := min(int(q.Count), s.cfg.Limits.SyncHeaders); ok && left > 0 && ctx.Err() == nil; {
		a := wire.SyncAnswer{ID: q.ID}
		size := 0
		for ; len(a.Headers) < min(left, wire.MaxSyncHeaders); height++ {
			h := s.headerHere(height)
			if h == nil {
				ok = false
				break
			}
			a.Headers = append(a.Headers, h.Bytes())
			size += max(len(h.Bytes()), headerCost)
		}
		if len(a.Headers) == 0 {
			return nil
		}
		if err := s.desk.spend(ctx, x.peer(), size); err != nil {
			return nil //nolint:nilerr // no time left at this pace: the rest is for the next request
		}
		left -= len(a.Headers)
		if err := s.writeInTime(x, a.AppendTo(nil)); err != nil {
			return fmt.Errorf("overlay: answer sync request: %w", err)
		}
	}
	return nil
}

// headerCost is what a header costs a peer of its share of our uplink at least: it comes
// from the disk with what is stored beside it.
const headerCost = 2 << 10

// meet finds the height from which on the asker lacks what our best chain has.
func (s *syncer) meet(q *wire.SyncRequest) (height uint64, ok bool) {
	if len(q.Blocks) == 0 {
		return max(q.FromHeight, 1), true
	}
	for i, id := range q.Blocks {
		height := wire.LocatorHeight(q.FromHeight, i)
		ours, ok := s.genesis, true
		if height > 0 {
			ours, ok = s.cfg.Chain.BlockAt(height)
		}
		if ok && ours == id {
			return height + 1, true
		}
	}
	return 0, false
}

// headerHere is the header of our best chain at a height, or nil.
func (s *syncer) headerHere(height uint64) *wire.Header {
	id, ok := s.cfg.Chain.BlockAt(height)
	if !ok {
		return nil
	}
	h, err := headerOf(s.cfg.Chain, id)
	if err != nil {
		if !errors.Is(err, NotFound) {
			s.log.Warn("reading a header for a peer failed", "block", id, "err", err)
		}
		return nil
	}
	return h
}

// headerOf reads the header of a stored block, without its body where the chain can.
func headerOf(chain Chain, id wire.BlockID) (*wire.Header, error) {
	if keeper, ok := chain.(HeaderKeeper); ok {
		return keeper.Header(id)
	}
	b, err := chain.Block(id)
	if err != nil {
		return nil, err
	}
	return b.Header, nil
}

// syncSlack is what an answer has beside its block.
const syncSlack = 128

// writeInTime gives a slow reader the same time per block that we give a slow sender,
// but never more than the request has in all.
func (s *syncer) writeInTime(x *exchange, frame []byte) error {
	stall := time.Now().Add(s.cfg.Limits.SyncStall)
	if end := x.end; stall.After(end) {
		stall = end
	}
	if err := x.SetWriteDeadline(stall); err != nil {
		return err
	}
	return x.write(frame)
}

// wanted lists the blocks of a request, as many as we answer at most. Heights end where
// the best chain does.
func (s *syncer) wanted(q *wire.SyncRequest) func(yield func(wire.BlockID) bool) {
	limit := uint64(s.cfg.Limits.SyncBlocks)
	return func(yield func(wire.BlockID) bool) {
		if len(q.Blocks) > 0 {
			for _, id := range q.Blocks[:min(len(q.Blocks), int(limit))] {
				if !yield(id) {
					return
				}
			}
			return
		}
		for n := range min(uint64(q.Count), limit) {
			height := q.FromHeight + n
			if height < q.FromHeight { // overflow
				return
			}
			id, ok := s.cfg.Chain.BlockAt(height)
			if !ok || !yield(id) {
				return
			}
		}
	}
}
