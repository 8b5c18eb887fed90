package overlay

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// SyncStatus says whether the node is catching up. What a peer merely claims does not
// count: a header of that height, signed by the producer whose turn it was, does.
type SyncStatus struct {
	Active   bool
	Checking bool    // a peer claims a higher head, and has not been asked for its header yet
	Height   uint64  // of our head
	Target   uint64  // the highest head that a peer has shown us; our own if none is higher
	Headers  int     // known of blocks that are not in the chain
	Blocks   int     // asked for, or here, and not in the chain yet
	Bytes    int     // of those
	Sources  int     // peers that are asked
	PerSec   float64 // blocks added a second, lately
}

// syncer keeps the chain up with those of the peers. What to ask of whom is decided by a
// catchup.Scheduler; the syncer carries that out.
type syncer struct {
	protocol protocol.ID // constant
	cfg      Config
	genesis  wire.BlockID
	log      *slog.Logger
	roster   *roster
	court    *court
	desk     *desk
	crew     *crew
	added    func(id wire.BlockID) // a block came in
	wake     chan struct{}         // capacity 1
	toAdd    chan struct{}         // capacity 1
	proofs   chan struct{}         // places for proofs at once

	mu       sync.Mutex // guards what follows
	sched    *catchup.Scheduler
	told     map[peer.ID]wire.BlockID // the peers that sched knows, and the head as high as ours that each was last asked about
	looked   time.Time                // at the roster
	sought   map[peer.ID]struct{}
	claims   map[peer.ID]struct{}          // peers that said by a request where their chains end
	open     map[uint64]context.CancelFunc // requests
	bodies   map[wire.BlockID]fetchedBlock // bounded by the window of sched
	adding   []wire.BlockID                // in this order
	proving  map[peer.ID]struct{}
	silent   map[uint64]time.Time // open requests of whose answers no byte came, and when they were sent
	promises *promises
	before   ledger.Ref // our head when last no block waited to be added
	caught   bool       // blocks came by catching up since then
	meter    progress
}

// newScheduler makes what decides for a syncer.
func newScheduler(cfg Config) (*catchup.Scheduler, error) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return catchup.New(cfg.Sync, slotted{cfg.Chain}, cfg.Genesis.ID().GenesisBlock(), rng)
}

// slotted is a chain that tells the slots of its blocks.
type slotted struct{ Chain }

// SlotAt implements catchup.Slots.
func (s slotted) SlotAt(height uint64) (uint64, bool) {
	id, ok := s.BlockAt(height)
	if !ok {
		return 0, false
	}
	h, err := headerOf(s.Chain, id)
	if err != nil {
		return 0, false
	}
	return h.Body().Slot, true
}

func newSyncer(cfg Config, sched *catchup.Scheduler, r *roster, c *court, d *desk, w *crew, added func(wire.BlockID)) *syncer {
	id := cfg.Genesis.ID()
	return &syncer{
		protocol: SyncProtocol(id), genesis: id.GenesisBlock(), cfg: cfg, log: cfg.Logger,
		roster: r, court: c, desk: d, crew: w, added: added, sched: sched,
		wake: make(chan struct{}, 1), toAdd: make(chan struct{}, 1), proofs: make(chan struct{}, proofsAtOnce),
		told: make(map[peer.ID]wire.BlockID), sought: make(map[peer.ID]struct{}),
		claims: make(map[peer.ID]struct{}),
		open:   make(map[uint64]context.CancelFunc), bodies: make(map[wire.BlockID]fetchedBlock),
		proving: make(map[peer.ID]struct{}), silent: make(map[uint64]time.Time), promises: newPromises(),
	}
}

// maxSought bounds the peers that wait to be looked at for what they have, or say.
const maxSought = 64

// seek says that p has a block that we lack, however high our chain is.
func (s *syncer) seek(p peer.ID, _ uint64) {
	s.mu.Lock()
	if len(s.sought) < maxSought {
		s.sought[p] = struct{}{}
	}
	s.mu.Unlock()
	s.nudge()
}

func (s *syncer) nudge() { poke(s.wake) }

// poke wakes who waits on a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// status is safe for concurrent use.
func (s *syncer) status() SyncStatus {
	ours := s.cfg.Chain.Head().Height
	s.mu.Lock()
	st := s.statusLocked(ours)
	s.mu.Unlock()
	for _, m := range s.roster.heads() {
		st.Checking = st.Checking || s.unproven(m, ours)
	}
	return st
}

func (s *syncer) statusLocked(ours uint64) SyncStatus {
	now := s.sched.Status()
	st := SyncStatus{
		Height: ours, Target: max(ours, now.Target), Headers: now.Headers,
		Blocks: now.Blocks, Bytes: now.Bytes, Sources: now.Sources, PerSec: s.meter.rate,
	}
	st.Active = st.Target > ours+1 && now.Sources > 0
	return st
}

// run catches up whenever a peer is ahead, and asks around from time to time in case
// gossip was missed, until ctx ends.
func (s *syncer) run(ctx context.Context) {
	s.crew.spawn(func() { s.addAll(ctx) })
	refresh := time.NewTimer(s.pauseUntilRefresh())
	defer refresh.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-next.C:
		case <-refresh.C:
			s.refresh()
			s.proveClaims(ctx)
			refresh.Reset(s.pauseUntilRefresh())
		}
		next.Reset(s.step(ctx))
	}
}

func (s *syncer) pauseUntilRefresh() time.Duration {
	half := s.cfg.Limits.SyncRefresh / 2
	return half + rand.N(half)
}

// refresh looks for what a peer has that gossip did not bring.
func (s *syncer) refresh() {
	if heads := s.roster.heads(); len(heads) > 0 {
		s.seek(heads[rand.IntN(len(heads))].id, 0)
	}
}

const (
	// lookEvery is how often the roster is read while much happens.
	lookEvery = 100 * time.Millisecond
	// idleWake is when there is nothing to wake for.
	idleWake = time.Hour
)

// step lets the scheduler decide and carries out what it says. It returns when to come again.
func (s *syncer) step(ctx context.Context) time.Duration {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.lookLocked(now)
	out := s.sched.Tick(now)
	for _, c := range out.Cancel {
		s.cancelLocked(ctx, c)
	}
	for _, id := range out.Drop {
		delete(s.bodies, id)
	}
	if len(out.Add) > 0 {
		s.adding = append(s.adding, out.Add...)
		poke(s.toAdd)
	}
	s.spreadLocked()
	for p := range s.claims {
		delete(s.claims, p)
		s.crew.spawn(func() { s.prove(ctx, p) })
	}
	for _, a := range out.Ask {
		s.sendLocked(ctx, a)
	}
	s.meter.look(now, s.statusLocked(s.cfg.Chain.Head().Height), s.log)
	if !out.Next.IsZero() {
		again = min(again, out.Next.Sub(now))
	}
	return max(time.Millisecond, again)
}

// lookLocked tells the scheduler who is connected, how high their chains are known to be,
// and who was said to have something. A claim of one more block is simply tried, and one of
// another head as high as ours, once. It returns when to look again.
func (s *syncer) lookLocked(now time.Time) (again time.Duration) {
	if since := now.Sub(s.looked); since < lookEvery && len(s.sought) == 0 {
		return lookEvery - since
	}
	s.looked = now
	ours := s.cfg.Chain.Head()
	heads := s.roster.heads()
	here := make(map[peer.ID]wire.BlockID, len(heads))
	for _, m := range heads {
		here[m.id] = s.told[m.id]
		height := m.proven
		if m.best.height == ours.Height+1 {
			height = max(height, m.best.height)
		}
		s.sched.Peer(now, catchup.Source{Peer: peerscore.PeerID(m.id), RTT: m.rtt, Height: height})
		if m.best.height == ours.Height && m.best.id != ours.ID && m.best.id != here[m.id] {
			here[m.id] = m.best.id
			if !s.cfg.Chain.HasBlock(m.best.id) { // of two chains as long, either may be the better
				s.sched.Seek(peerscore.PeerID(m.id))
			}
		}
	}
	for p := range s.told {
		if _, ok := here[p]; !ok {
			s.sched.Gone(peerscore.PeerID(p))
			s.promises.forget(p)
		}
	}
	s.told = here
	for p := range s.sought {
		s.sched.Seek(peerscore.PeerID(p))
	}
	clear(s.sought)
	return idleWake
}

// spreadLocked has peers asked for what they have once we are on another chain than before:
// where our chain ends, a request says. Blocks that come by catching up nobody announces.
func (s *syncer) spreadLocked() {
	if len(s.bodies) > 0 {
		return
	}
	ours := s.cfg.Chain.Head()
	if s.caught && s.before.Height > 0 && !onBestChain(s.cfg.Chain, head{s.before.Height, s.before.ID}) {
		for p := range s.told {
			if s.roster.snapshot(p).best.height <= ours.Height {
				s.sched.Seek(peerscore.PeerID(p))
			}
		}
		s.nudge()
	}
	s.before, s.caught = ours, false
}

// cancelLocked gives a request up. Slowness is no offence.
func (s *syncer) cancelLocked(ctx context.Context, c catchup.Cancel) {
	if cancel := s.open[c.ID]; cancel != nil {
		cancel()
		delete(s.open, c.ID)
	}
	if c.Why == catchup.Late {
		s.log.Info("a peer gives blocks too slowly; another is asked", "peer", peer.ID(c.Peer))
		call(s.cfg.Hooks.SyncReplaced, c.Peer)
		if sent, silent := s.silent[c.ID]; silent {
			s.crew.spawn(func() { s.broke(ctx, sent, peer.ID(c.Peer)) })
		}
	}
	delete(s.silent, c.ID)
}

// sendLocked starts a request.
func (s *syncer) sendLocked(ctx context.Context, a catchup.Ask) {
	ctx, cancel := context.WithCancel(ctx)
	s.open[a.ID] = cancel
	if !s.crew.spawn(func() {
		defer cancel()
		s.carry(ctx, a)
	}) {
		cancel()
	}
}

// progress measures how quickly blocks are added, and tells so from time to time.
type progress struct {
	since  time.Time // of the present measurement
	height uint64    // then
	began  uint64    // where this catching up began
	active bool
	rate   float64
}

// sayEvery is how often the log tells how far catching up has come.
const sayEvery = 5 * time.Second

func (p *progress) look(now time.Time, st SyncStatus, log *slog.Logger) {
	switch {
	case st.Active && !p.active:
		*p = progress{since: now, height: st.Height, began: st.Height, active: true}
		log.Info("catching up", "height", st.Height, "target", st.Target, "peers", st.Sources)
	case !st.Active && p.active:
		log.Info("caught up, as far as peers lead", "height", st.Height, "blocks", st.Height-min(st.Height, p.began))
		*p = progress{}
	case p.active && now.Sub(p.since) >= sayEvery:
		p.rate = float64(st.Height-min(st.Height, p.height)) / now.Sub(p.since).Seconds()
		p.since, p.height = now, st.Height
		log.Info("catching up", "height", st.Height, "target", st.Target, "peers", st.Sources,
			"blocks_per_second", int(p.rate), "in_flight_kb", st.Bytes>>10)
	}
}
