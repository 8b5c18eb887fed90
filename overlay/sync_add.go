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

// addAll gives blocks to the chain in the order that the scheduler says, until ctx ends.
func (s *syncer) addAll(ctx context.Context) {
	for {
		id, a, ok := s.nextToAdd()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-s.toAdd:
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.settle(ctx, id, a, s.add(ctx, a))
		s.nudge()
	}
}

// nextToAdd takes the next block whose body was not dropped meanwhile.
func (s *syncer) nextToAdd() (id wire.BlockID, a fetchedBlock, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.adding) > 0 {
		id, s.adding = s.adding[0], s.adding[1:]
		if a, ok = s.bodies[id]; ok {
			return id, a, true
		}
	}
	s.adding = nil
	return id, a, false
}

// bodyFault marks an error that was met in a body without looking at the chain.
type bodyFault struct{ error }

func (e bodyFault) Unwrap() error { return e.error }

// add checks one block and gives it to the chain.
func (s *syncer) add(ctx context.Context, a fetchedBlock) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic while adding a block: %v", validation.Unavailable, r)
		}
	}()
	if s.cfg.Chain.HasBlock(a.block.ID()) {
		return nil
	}
	h, err := s.cfg.Checker.Header(ctx, s.cfg.Now(), a.block.Header, validation.Sync)
	if err != nil {
		return headerFault{err}
	}
	parts := make([]validation.Part, len(a.block.Txs))
	for i, tx := range a.block.Txs {
		parts[i].Tx = tx
	}
	block, err := s.cfg.Checker.Block(h, parts)
	if err != nil {
		return bodyFault{err}
	}
	return s.cfg.Chain.AddBlock(ctx, block, a.from)
}

// settle tells the scheduler what became of a block, and judges who is to blame: for a body
// that contradicts itself, whoever gave it; for one that the chain refuses, whoever told it
// as part of its own chain, since that has been through the same checks.
func (s *syncer) settle(ctx context.Context, id wire.BlockID, a fetchedBlock, err error) {
	now := time.Now()
	parent := a.block.Header.Body().Parent
	s.mu.Lock()
	_, parentWaits := s.bodies[parent]
	var teller peerscore.PeerID
	switch {
	case err == nil, errors.Is(err, validation.AlreadyKnown):
		s.sched.Added(id)
		s.caught = s.caught || err == nil
		delete(s.bodies, id)
		err = nil
	case ctx.Err() != nil:
	case errors.Is(err, validation.Unavailable), errors.Is(err, validation.EarlySlot),
		errors.Is(err, validation.UnknownParent) && parentWaits:
		s.sched.Postponed(now, id)
	case isRefused(err):
		teller = s.sched.Rejected(now, id)
		delete(s.bodies, id)
	default:
		s.sched.Postponed(now, id)
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		call(s.cfg.Hooks.SyncAdded, id)
		s.added(id)
		return
	case ctx.Err() != nil:
		return
	}
	s.log.Warn("a fetched block was not added", "block", id, "height", a.block.Header.Body().Height, "err", err)
	if !errors.As(err, new(validation.Fault)) {
		return
	}
	lie := fmt.Errorf("%w: %v", WrongBody, err) //nolint:errorlint // the Lie is the kind
	giver := errors.As(err, new(bodyFault))
	if giver {
		s.court.judge(peer.ID(a.from), lie)
	}
	if teller != "" && !(giver && teller == a.from) {
		s.court.judge(peer.ID(teller), lie)
	}
}

// isRefused says whether an error is about the block and not about us.
func isRefused(err error) bool {
	return errors.As(err, new(validation.Fault)) || errors.As(err, new(validation.Refusal))
}
