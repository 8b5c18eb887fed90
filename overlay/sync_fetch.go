package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// maxSought bounds the peers that are remembered as having what we lack.
const maxSought = 64

// maxRestarts is how often following one peer may begin anew because its chain changed
// meanwhile.
const maxRestarts = 4

// SyncStatus says whether the node is catching up.
type SyncStatus struct {
	Active bool
	Height uint64 // of our head
	Target uint64 // the highest head a peer has told us of; our own if none is higher
}

// syncer keeps the chain up with those of the peers: it fetches what gossip did not
// bring, from one peer at a time, and changes to another when one lies or stalls.
type syncer struct {
	protocol protocol.ID // constant
	genesis  wire.BlockID
	cfg      Config
	log      *slog.Logger
	roster   *roster
	court    *court
	desk     *desk
	added    func(id wire.BlockID) // a block came in
	wake     chan struct{}         // capacity 1

	mu     sync.Mutex // guards what follows
	sought map[peer.ID]uint64
	paused map[peer.ID]time.Time
	active bool
}

func newSyncer(cfg Config, r *roster, c *court, d *desk, added func(wire.BlockID)) *syncer {
	id := cfg.Genesis.ID()
	return &syncer{
		protocol: SyncProtocol(id), genesis: id.GenesisBlock(), cfg: cfg, log: cfg.Logger,
		roster: r, court: c, desk: d, added: added,
		wake: make(chan struct{}, 1), sought: make(map[peer.ID]uint64), paused: make(map[peer.ID]time.Time),
	}
}

// seek says that p has a chain at height of which we lack something, however high ours is.
func (s *syncer) seek(p peer.ID, height uint64) {
	s.mu.Lock()
	if old, ok := s.sought[p]; ok || len(s.sought) < maxSought {
		s.sought[p] = max(old, height)
	}
	s.mu.Unlock()
	s.nudge()
}

func (s *syncer) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// status is safe for concurrent use.
func (s *syncer) status() SyncStatus {
	ours := s.cfg.Chain.Head().Height
	s.mu.Lock()
	active := s.active
	s.mu.Unlock()
	st := SyncStatus{Active: active, Height: ours, Target: ours}
	if heads := s.roster.heads(); active && len(heads) > 0 {
		st.Target = max(ours, heads[0].best.height)
	}
	return st
}

// run catches up whenever a peer is ahead, and asks around from time to time in case
// gossip was missed, until ctx ends.
func (s *syncer) run(ctx context.Context) {
	refresh := time.NewTimer(s.pauseUntilRefresh())
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-refresh.C:
			s.refresh(ctx)
			refresh.Reset(s.pauseUntilRefresh())
		}
		s.catchUp(ctx)
	}
}

func (s *syncer) pauseUntilRefresh() time.Duration {
	half := s.cfg.Limits.SyncRefresh / 2
	return half + rand.N(half)
}

// catchUp follows one peer after the other until none has more.
func (s *syncer) catchUp(ctx context.Context) {
	defer s.setActive(false)
	for ctx.Err() == nil {
		p, target, ok := s.pick()
		if !ok {
			return
		}
		s.setActive(target > s.cfg.Chain.Head().Height+1)
		err := s.follow(ctx, p, target)
		s.mu.Lock()
		delete(s.sought, p)
		s.mu.Unlock()
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.court.judge(p, err)
		s.pause(p)
		s.log.Info("catching up from a peer failed; trying another", "peer", p, "err", err)
	}
}

func (s *syncer) setActive(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = on
}

// pick chooses whom to follow: the highest, then the quickest, of those that have more.
func (s *syncer) pick() (p peer.ID, target uint64, ok bool) {
	ours := s.cfg.Chain.Head().Height
	heads := s.roster.heads()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, until := range s.paused {
		if now.After(until) {
			delete(s.paused, q)
		}
	}
	for _, m := range heads {
		if _, resting := s.paused[m.id]; resting {
			continue
		}
		sought, wanted := s.sought[m.id]
		if m.best.height > ours || wanted {
			return m.id, max(m.best.height, sought), true
		}
	}
	clear(s.sought) // of peers that left, or cannot be asked now
	return "", 0, false
}

func (s *syncer) pause(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[p] = time.Now().Add(s.cfg.Limits.SyncPause)
}

// refresh asks one peer for what follows our head: it gives the next blocks, or shows
// that the peer is on another branch.
func (s *syncer) refresh(ctx context.Context) {
	heads := s.roster.heads()
	if len(heads) == 0 {
		return
	}
	p := heads[rand.IntN(len(heads))].id
	end, err := s.fetch(ctx, p, s.cfg.Chain.Head().Height+1, 1, func(*wire.Block) error { return errEnough })
	switch {
	case errors.Is(err, errEnough):
		s.seek(p, s.cfg.Chain.Head().Height+1)
	case err != nil:
		s.court.judge(p, err)
	default:
		s.roster.correct(p, end)
		if end.height >= s.cfg.Chain.Head().Height && end.id != s.genesis && !s.cfg.Chain.HasBlock(end.id) {
			s.seek(p, end.height)
		}
	}
}

// errEnough ends a fetch from our side.
var errEnough = errors.New("overlay: enough")

// errElsewhere says that a block's parent is not ours: the chains part further back.
var errElsewhere = errors.New("overlay: parent is on another branch")

// follow brings the chain of p in, from where it parts from ours. A Lie or a Fault in the
// error is the peer's.
func (s *syncer) follow(ctx context.Context, p peer.ID, target uint64) error {
	restarts := 0
	next, err := s.ancestor(ctx, p, target)
	for err == nil {
		var (
			before = next
			end    head
		)
		end, err = s.fetch(ctx, p, next, uint32(s.cfg.Limits.SyncBlocks), func(b *wire.Block) error {
			if got := b.Header.Body().Height; got != next {
				return fmt.Errorf("%w: height %d instead of %d", NotAsked, got, next)
			}
			if err := s.take(ctx, p, b); err != nil {
				return err
			}
			next++
			return nil
		})
		switch {
		case errors.Is(err, errElsewhere):
			if restarts++; restarts > maxRestarts {
				return fmt.Errorf("overlay: the peer's chain keeps changing: %w", err)
			}
			next, err = s.ancestor(ctx, p, target)
		case err == nil && next == before && end.height >= next:
			return fmt.Errorf("%w: claims height %d and gives nothing from %d", errNotServed, end.height, next)
		case err == nil && next == before: // nothing more
			s.roster.correct(p, end)
			return nil
		}
	}
	return err
}

// ancestor finds the height from which on p has blocks that we lack and whose parent we
// have, stepping back twice as far each time.
func (s *syncer) ancestor(ctx context.Context, p peer.ID, target uint64) (uint64, error) {
	from := max(1, min(s.cfg.Chain.Head().Height+1, target))
	for step := uint64(1); ; step *= 2 {
		var parent *wire.BlockID
		end, err := s.fetch(ctx, p, from, 1, func(b *wire.Block) error {
			if got := b.Header.Body().Height; got != from {
				return fmt.Errorf("%w: height %d instead of %d", NotAsked, got, from)
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
// it. The answer's end says where the peer's chain ends.
func (s *syncer) fetch(ctx context.Context, p peer.ID, from uint64, count uint32, take func(*wire.Block) error) (end head, err error) {
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
		raw, err := x.read(wire.MaxSyncAnswer)
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
