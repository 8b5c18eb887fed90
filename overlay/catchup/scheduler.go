package catchup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Chain is what is stored. It may change between two calls of a Scheduler, not within one
// of its own making.
type Chain interface {
	// Head is the newest block of the best chain.
	Head() ledger.Ref
	// HasBlock says whether a block is stored and its ancestors with it; genesis is.
	HasBlock(id wire.BlockID) bool
	// BlockAt is the block of the best chain at a height from 1 on.
	BlockAt(height uint64) (wire.BlockID, bool)
}

// Scheduler knows which peers there are, which headers they told, and what was asked of
// whom. It is not safe for concurrent use. Peers that are told to it are for the caller
// to bound; all else is bounded by Config.
type Scheduler struct {
	cfg     Config // constant
	chain   Chain
	genesis wire.BlockID
	rng     *rand.Rand

	sources  map[peerscore.PeerID]*source
	order    []*source // those, as they came
	tree     tree
	requests map[uint64]*request
	open     []*request // those, as they were made
	serial   uint64
	bad      badBlocks

	blocks, bytes int // in the window
	drops         []wire.BlockID

	head   ledger.Ref // of the chain, at the last Tick
	used   int        // peers, at the last Tick
	target uint64     // the highest of their heights
	paused time.Time
	ticked time.Time // the last Tick
	due    time.Time // when it wanted the next; zero: whenever
}

// New returns a Scheduler that knows of nobody. rng is for the order of peers of whom
// nothing is known.
func New(cfg Config, chain Chain, genesis wire.BlockID, rng *rand.Rand) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("catchup: new scheduler: %w", err)
	}
	return &Scheduler{
		cfg: cfg, chain: chain, genesis: genesis, rng: rng,
		sources:  make(map[peerscore.PeerID]*source),
		requests: make(map[uint64]*request),
		tree:     tree{nodes: make(map[wire.BlockID]*node)},
		head:     chain.Head(),
	}, nil
}

// Peer tells of a peer, or that more is known of it. A height falls only by what the
// peer answers here.
func (s *Scheduler) Peer(now time.Time, p Source) {
	src := s.sources[p.Peer]
	if src == nil {
		src = &source{Source: p, rank: s.rng.Uint64(), tokens: float64(s.cfg.AsksBurst), filled: now}
		s.sources[p.Peer] = src
		s.order = append(s.order, src)
		return
	}
	src.RTT, src.Height = p.RTT, max(src.Height, p.Height)
}

// Seek tells that a peer has something that we lack, at height or below, however high
// our own chain is. A peer that was not told of is not sought.
func (s *Scheduler) Seek(peer peerscore.PeerID) {
	if src := s.sources[peer]; src != nil {
		src.sought, src.probed = true, false
	}
}

// Gone tells that a peer is not connected any more.
func (s *Scheduler) Gone(peer peerscore.PeerID) {
	src := s.sources[peer]
	if src == nil {
		return
	}
	for _, r := range slices.Clone(s.open) {
		if r.from == src {
			s.release(r, true)
		}
	}
	delete(s.sources, peer)
	s.order = slices.DeleteFunc(s.order, func(o *source) bool { return o == src })
}

// Status is how far a Scheduler has come.
type Status struct {
	Target  uint64 // the greatest height of those peers, or of the chain
	Headers int    // of blocks that are not in the chain
	Blocks  int    // in the window: asked for, or here, and not in the chain
	Bytes   int    // of those
	Sources int    // peers that may have something that we lack, and do not rest
	Asked   int    // requests that are out
}

// Status tells how far it has come, as of the last Tick.
func (s *Scheduler) Status() Status {
	return Status{
		Target: max(s.head.Height, s.target), Headers: len(s.tree.nodes),
		Blocks: s.blocks, Bytes: s.bytes, Sources: s.used, Asked: len(s.open),
	}
}

// Has says whether a header is known of a block that is not in the chain.
func (s *Scheduler) Has(id wire.BlockID) bool { return s.tree.nodes[id] != nil }
