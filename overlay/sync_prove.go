package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// proofsAtOnce bounds the peers that are asked to prove a claim at once.
	proofsAtOnce = 64
	// maxProofs is how often one claim is lowered and asked for again.
	maxProofs = 3
)

// unproven says whether a peer claims a head that would be worth following and has not
// shown it. There are never more blocks than slots, so some claims need no question.
func (s *syncer) unproven(m member, ours uint64) bool {
	if m.best.height <= m.proven || m.best.height <= ours+1 {
		return false
	}
	latest := s.cfg.Now().Add(time.Duration(s.cfg.Genesis.Limits.ClockToleranceMillis) * time.Millisecond)
	slot, begun := s.cfg.Genesis.SlotAt(validation.UnixMillis(latest))
	return begun && m.best.height <= slot
}

// proveClaims asks all peers whose claims are open.
func (s *syncer) proveClaims(ctx context.Context) {
	ours := s.cfg.Chain.Head().Height
	for _, m := range s.roster.heads() {
		if s.unproven(m, ours) {
			s.crew.spawn(func() { s.prove(ctx, m.id) })
		}
	}
}

// prove asks a peer for the block of the height that it claims. Until its header shows
// that a producer signed for such a height, nobody follows the peer, and nobody takes us
// for one that lags behind.
func (s *syncer) prove(ctx context.Context, p peer.ID) {
	if !s.beginProof(p) {
		return
	}
	defer s.endProof(p)
	select {
	case s.proofs <- struct{}{}:
		defer func() { <-s.proofs }()
	case <-ctx.Done():
		return
	}
	for range maxProofs {
		m := s.roster.snapshot(p)
		if !s.unproven(m, s.cfg.Chain.Head().Height) {
			break
		}
		asked := time.Now()
		if err := s.proveOnce(ctx, p, m.best.height); err != nil {
			if ctx.Err() == nil {
				s.court.judge(p, err)
				if errors.Is(err, errNotServed) || errors.Is(err, FrameSlow) {
					s.broke(ctx, asked, p)
				}
				s.log.Debug("a peer does not show the head it claims", "peer", p, "height", m.best.height, "err", err)
			}
			return
		}
	}
	s.nudge()
}

// proveOnce asks for one header. What the peer answers replaces what it claimed.
func (s *syncer) proveOnce(ctx context.Context, p peer.ID, height uint64) error {
	h, end, err := s.headerAt(ctx, p, height)
	switch {
	case err != nil:
		return err
	case h != nil:
		if got := h.Body().Height; got != height {
			return fmt.Errorf("%w: height %d instead of %d", NotAsked, got, height)
		}
		if err := s.signed(ctx, h); err != nil && !errors.Is(err, validation.BelowFinal) {
			return err
		}
		s.roster.prove(p, height)
		return nil
	case end.height >= height:
		s.roster.correct(p, head{})
		return fmt.Errorf("%w: claims height %d and has no block there", errNotServed, height)
	}
	s.roster.correct(p, end)
	return nil
}

// headerAt asks a peer for the header of its best chain at a height. It is nil if there is
// none; end is where the peer says that its chain ends, then.
func (s *syncer) headerAt(ctx context.Context, p peer.ID, height uint64) (h *wire.Header, end head, err error) {
	x, done, err := s.desk.ask(ctx, p, s.protocol, s.cfg.Limits.SyncStall)
	if err != nil {
		return nil, end, err
	}
	defer func() { done(err) }()
	q := wire.SyncRequest{ID: 1, FromHeight: height, Count: 1, Headers: true}
	if err := x.write(q.AppendTo(nil)); err != nil {
		return nil, end, fmt.Errorf("overlay: ask for a header: %w", err)
	}
	a, last, err := s.answer(x, q.ID, wire.MaxHeader+syncSlack)
	if err == nil && (!last || a.HeadHeight < height) {
		s.mu.Lock()
		s.promises.answered(p)
		s.mu.Unlock()
	}
	switch {
	case err != nil:
		return nil, end, err
	case last:
		return nil, head{a.HeadHeight, a.Head}, nil
	case len(a.Headers) != 1:
		return nil, end, fmt.Errorf("%w: %d headers, one was asked for", NotAsked, len(a.Headers))
	}
	if h, err = wire.DecodeHeader(a.Headers[0]); err != nil {
		return nil, end, undecodable(err)
	}
	return h, end, nil
}

// signed checks a header as far as it can be without its parent. One that would change what
// is final is BelowFinal.
func (s *syncer) signed(ctx context.Context, h *wire.Header) error {
	_, err := s.cfg.Checker.Header(ctx, s.cfg.Now(), h, validation.Sync)
	if err == nil || errors.Is(err, validation.UnknownParent) {
		return nil
	}
	return headerFault{err}
}

// beginProof takes care that a peer is asked once at a time.
func (s *syncer) beginProof(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, busy := s.proving[p]; busy {
		return false
	}
	s.proving[p] = struct{}{}
	return true
}

func (s *syncer) endProof(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.proving, p)
}
