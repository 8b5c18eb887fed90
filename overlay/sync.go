package overlay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/wire"
)

// maxSought bounds the peers that are remembered as having what we lack.
const maxSought = 64

// SyncStatus says whether the node is catching up. What a peer merely claims does not
// count: a header of that height, signed by the producer whose turn it was, does.
type SyncStatus struct {
	Active   bool
	Checking bool   // a peer claims a higher head, and has not been asked for its header yet
	Height   uint64 // of our head
	Target   uint64 // the highest head that a peer has shown us; our own if none is higher
}

// syncer keeps the chain up with those of the peers: it fetches what gossip did not
// bring, from one peer at a time, and changes to another when one lies, stalls, or is
// slower than it need be.
type syncer struct {
	protocol protocol.ID // constant
	genesis  wire.BlockID
	cfg      Config
	log      *slog.Logger
	roster   *roster
	court    *court
	desk     *desk
	crew     *crew
	added    func(id wire.BlockID) // a block came in
	wake     chan struct{}         // capacity 1
	proofs   chan struct{}         // places for proofs at once

	mu      sync.Mutex // guards what follows
	sought  map[peer.ID]uint64
	paused  map[peer.ID]time.Time
	paces   map[peer.ID]pace // of greeted peers
	proving map[peer.ID]struct{}
	turn    int
	active  bool
}

func newSyncer(cfg Config, r *roster, c *court, d *desk, w *crew, added func(wire.BlockID)) *syncer {
	id := cfg.Genesis.ID()
	return &syncer{
		protocol: SyncProtocol(id), genesis: id.GenesisBlock(), cfg: cfg, log: cfg.Logger,
		roster: r, court: c, desk: d, crew: w, added: added,
		wake: make(chan struct{}, 1), proofs: make(chan struct{}, proofsAtOnce),
		sought: make(map[peer.ID]uint64), paused: make(map[peer.ID]time.Time),
		paces: make(map[peer.ID]pace), proving: make(map[peer.ID]struct{}),
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
	for _, m := range s.roster.heads() {
		if active {
			st.Target = max(st.Target, m.proven)
		}
		st.Checking = st.Checking || s.unproven(m, ours)
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
			s.proveClaims(ctx)
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
		switch {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, errSlow):
			s.log.Info("a peer gives blocks slowly; trying another", "peer", p)
		default:
			s.court.judge(p, err)
			s.pause(p)
			s.log.Info("catching up from a peer failed; trying another", "peer", p, "err", err)
		}
	}
}

func (s *syncer) setActive(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = on
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
	end, err := s.fetch(ctx, p, s.cfg.Chain.Head().Height+1, 1, new(slice), func(*wire.Block) error { return errEnough })
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
