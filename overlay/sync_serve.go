package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	head := s.cfg.Chain.Head()
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
	end := wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: head.Height, Head: head.ID}
	return s.writeInTime(x, end.AppendTo(nil))
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
