package overlay

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// reconTick is how often links are looked after, at the least.
	reconTick = time.Second
	// reconSecond is how long the side with the higher id leaves a new link to the other's
	// session, so that the first exchange, which may be large, is not held twice.
	reconSecond = time.Second
	// reconPause is how long a peer is left alone after its first failure; each pause is
	// twice the last, up to reconPauseMax after an offence, and to reconPauseLine after what
	// a bad line explains.
	reconPause     = 2 * time.Second
	reconPauseMax  = time.Minute
	reconPauseLine = 8 * time.Second
	// reconDoubts is from which session in a row on a fault counts that is not proven: a
	// block that empties the peer's pool during an exchange explains one.
	reconDoubts = 3
	// reconMargin is what a stream may outlive its session's age.
	reconMargin = time.Minute
	// fetchHold is for how long at the most what is being fetched keeps large exchanges
	// from beginning. After that they may begin for as long as they could not.
	fetchHold = 3 * time.Second
)

// reconciler repairs what gossip forgot: it compares what is known with peers, in and outside
// the mesh, and fetches what is lacking.
type reconciler struct {
	cfg     Config // constant
	id      wire.NetworkID
	self    peer.ID
	source  TxSource
	pace    recon.Config
	log     *slog.Logger
	roster  *roster
	court   *court
	crew    *crew
	desk    *desk
	txs     *txRoad
	links   *links
	holders *holders

	inbox  reconInbox
	hidden *eclipse
	wake   chan struct{} // capacity 1
	loaded chan struct{} // closed when known holds the pool
	scans  chan struct{} // reconScans places

	mu       sync.Mutex // guards what follows
	known    *knownTxs
	large    recon.Large
	keep     keeping
	tracker  *fetch.Tracker
	fetches  map[peer.ID]map[*fetching]bool
	pledges  pledges
	sessions map[reconKey]*reconSession
	pauses   map[peer.ID]reconPeer // wanted peers without a session of ours
	oneSided int
	hurry    time.Time // when to tell everybody of much that came into the pool at once; zero if it is told
	rolled   bool      // much came in, and those on our chain are not told yet
	much     time.Time // when much came in last, by a rollback or by fetching
	brought  int       // by fetching, and not told to others yet
	looked   time.Time // when links were last looked after
	hunger   hunger
	began    time.Time
	unwatch  func()
}

// reconPeer says when a peer is tried next.
type reconPeer struct {
	since time.Time // of its connection: with a new one it begins anew
	next  time.Time
	pause time.Duration
	busy  bool // it is being tried, or there is a session
	// doubts are the sessions in a row that ended in a fault that is not proven.
	doubts int
}

// newReconciler returns nil where there is nothing to reconcile.
func newReconciler(o *Overlay) (*reconciler, error) {
	source, ok := o.cfg.Pool.(TxSource)
	if !o.cfg.Recon || !ok {
		return nil, nil //nolint:nilnil // switched off is no error
	}
	var key fetch.Key
	_, _ = crand.Read(key[:]) // never fails
	pace := fetch.DefaultConfig()
	pace.MaxRequest = maxAnnounced
	tracker, err := fetch.New(pace, key)
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return &reconciler{
		cfg: o.cfg, id: o.id, self: o.host.ID(), source: source, pace: recon.DefaultConfig(), log: o.log,
		roster: o.roster, court: o.court, crew: o.crew, txs: o.txs, links: o.txLinks, holders: o.holders,
		wake: make(chan struct{}, 1), loaded: make(chan struct{}), scans: make(chan struct{}, reconScans),
		known: newKnownTxs(), tracker: tracker, hunger: hunger{
			starved: func() bool { return o.sentry.giving() < o.cfg.Gossip.Reserve },
			pulled:  o.txs.pulled,
		},
		fetches: make(map[peer.ID]map[*fetching]bool), hidden: newEclipse(),
		sessions: make(map[reconKey]*reconSession), pauses: make(map[peer.ID]reconPeer),
	}, nil
}

func (r *reconciler) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run looks after sessions, links and requests until ctx ends.
func (r *reconciler) run(ctx context.Context) {
	r.mu.Lock()
	r.began = time.Now()
	r.load()
	r.mu.Unlock()
	close(r.loaded)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unwatch()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		timer.Reset(r.turn(ctx))
	}
}

// load begins to follow the pool.
func (r *reconciler) load() {
	pooled, unwatch := r.source.WatchTxs(func(added, removed []wire.TxID) {
		if r.inbox.changed(added, removed) {
			r.poke()
		}
	})
	r.unwatch = unwatch
	now := time.Now()
	for _, id := range pooled {
		r.known.note(now, reconNews{id, wasPooled})
	}
}

// drain tells the sessions what changed. If that is too much, all begin anew.
func (r *reconciler) drain(now time.Time) {
	news, many, lost := r.inbox.take()
	for _, n := range news {
		r.note(now, n)
	}
	if many && r.hurry.IsZero() {
		r.hurry, r.rolled, r.much = now.Add(rollbackCalm), true, now
		for _, s := range r.sessions { // before one of them begins
			if !r.onOurChain(s.key.peer) {
				s.leave(r.hurry)
			}
		}
	}
	if !lost {
		return
	}
	for _, s := range r.sessions {
		r.endLocked(s, errReconAnew)
	}
	r.unwatch()
	r.known = newKnownTxs()
	r.load()
}

func (r *reconciler) note(now time.Time, n reconNews) {
	added, removed := r.known.note(now, n)
	for _, s := range r.sessions {
		s.changed(n.id, added, removed)
	}
	if n.kind != wasRemoved {
		r.tracker.Arrived(n.id)
	}
}

// turn does what is due, and returns for how long nothing is.
func (r *reconciler) turn(ctx context.Context) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.drain(now)
	r.hastenRolled()
	r.rejoin(now)
	for _, s := range r.sessions {
		if at, ok := s.machine.Next(); ok && !now.Before(at) {
			r.stepLocked(s, recon.Tick{})
		}
	}
	if now.Sub(r.looked) >= reconTick {
		r.looked = now
		r.settle(now)
		r.watch(now)
		r.lookAfterLinks(ctx, now)
	}
	if !r.hurry.IsZero() && !now.Before(r.hurry) {
		r.hurry = time.Time{}
		r.hastenLocked(true, func(peer.ID) bool { return true })
	}
	r.feed(now)
	r.keepLarge(now)
	requests, broken := r.tracker.Tick(now)
	for _, b := range broken {
		r.expired(now, b)
	}
	for _, q := range requests {
		f, within := r.asking(ctx, q)
		r.crew.spawn(func() { r.fetch(ctx, within, f) })
	}
	return r.idle(now)
}

// idle is the time until something is due.
func (r *reconciler) idle(now time.Time) time.Duration {
	next := r.looked.Add(reconTick)
	sooner := func(at time.Time, ok bool) {
		if ok && at.Before(next) {
			next = at
		}
	}
	for _, s := range r.sessions {
		sooner(s.machine.Next())
		sooner(s.forked, !s.forked.IsZero())
	}
	sooner(r.tracker.Next())
	sooner(r.hurry, !r.hurry.IsZero())
	sooner(r.hunger.next, len(r.hunger.feeders) > 0)
	return max(0, next.Sub(now))
}

// joined hears of a peer that was greeted. There may be nothing to reconcile: r may be nil.
func (r *reconciler) joined() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.looked = time.Time{}
	r.mu.Unlock()
	r.poke()
}

// learned takes ids that a peer says it has.
func (r *reconciler) learned(now time.Time, s *reconSession, ids []wire.TxID) {
	from := r.sourceOf(s.key.peer)
	index, _ := r.source.(TxIndex)
	for _, id := range ids {
		r.holders.holds(s.key.peer, id)
		switch {
		case r.known.wanted(now, id):
			if index != nil && index.Included(id) {
				s.agree(id)
				continue
			}
			r.tracker.Announced(now, from, id)
		case r.known.declined(now, id):
			s.agree(id)
		}
	}
	r.keepLarge(now)
}

// sourceOf is a peer as the tracker is to see it.
func (r *reconciler) sourceOf(p peer.ID) fetch.Source {
	m := r.roster.snapshot(p)
	most, doubted := r.pledges.standing(p)
	return fetch.Source{
		Peer: peerscore.PeerID(p), Preferred: m.direction == network.DirOutbound, Doubted: doubted, RTT: m.rtt, Most: most,
	}
}

// settle draws the conclusions from what peers told and did not give. What a block of ours has,
// or our pool had lately, may have left theirs as well.
func (r *reconciler) settle(now time.Time) {
	index, _ := r.source.(TxIndex)
	fell, broke := r.pledges.settle(now, func(id wire.TxID) bool {
		return r.known.declined(now, id) || index != nil && index.Included(id)
	})
	for _, p := range fell {
		r.tracker.Revise(r.sourceOf(p))
	}
	for _, p := range broke {
		r.crew.spawn(func() { r.court.judge(p, errUnfetched) })
		for _, asks := range []bool{true, false} {
			if s := r.sessions[reconKey{p, asks}]; s != nil {
				r.endLocked(s, errReconShunned)
			}
		}
	}
}

// keepLarge lets no large exchange begin while much is being fetched. What only those tell who
// are doubted is not much, however much it is.
func (r *reconciler) keepLarge(now time.Time) {
	r.large.Keep(r.keep.note(now, r.tracker.Likely() > recon.MaxSmall))
}

// keeping bounds for how long much that is being fetched, or is only said to be there,
// keeps the place of large exchanges: half of the time, and fetchHold at once.
type keeping struct {
	since time.Time // of what is kept now; zero if nothing is
	free  time.Time // until when nothing is kept
}

// note says whether the place is kept.
func (k *keeping) note(now time.Time, much bool) bool {
	switch {
	case k.since.IsZero():
		if much && !now.Before(k.free) {
			k.since = now
		}
	case !much || now.Sub(k.since) >= fetchHold:
		k.since, k.free = time.Time{}, now.Add(now.Sub(k.since))
	}
	return !k.since.IsZero()
}

// hasten has what was fetched told to those who may lack it too, once most of it is here:
// each of them is told once then.
func (r *reconciler) hasten(but peer.ID, brought int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.brought += brought
	if r.tracker.Likely() > recon.MaxSmall {
		return
	}
	if r.brought > recon.MaxSmall {
		r.much = time.Now()
	}
	r.hastenLocked(r.brought > recon.MaxSmall, func(p peer.ID) bool { return p != but })
	r.brought = 0
	r.poke()
}

func (r *reconciler) hastenLocked(much bool, whom func(p peer.ID) bool) {
	for _, s := range r.sessions {
		if s.key.asks && whom(s.key.peer) {
			r.stepLocked(s, recon.Hasten{Much: much})
		}
	}
}

// answer is the side of a session that a peer opened.
func (r *reconciler) answer(ctx context.Context, x *exchange) error {
	select {
	case <-r.loaded:
	case <-ctx.Done():
		return ctx.Err()
	}
	if m := r.roster.get(x.peer()); m == nil || !m.budget.sessions.Allow() {
		return errBusy
	}
	machine, err := recon.NewResponder(r.pace, &r.large, newSalt())
	if err != nil {
		return fmt.Errorf("overlay: reconcile: %w", err)
	}
	return r.talk(ctx, x, reconKey{peer: x.peer()}, machine)
}

// dial opens a session with a peer and keeps it up.
func (r *reconciler) dial(ctx context.Context, p peer.ID) {
	err := r.ask(ctx, p)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.log.Debug("reconciling failed", "peer", p, "err", err)
	}
	if r.rest(p, err) {
		r.court.judge(p, err)
	}
}

// rest leaves a peer alone for a while after a session, and says whether its end counts.
func (r *reconciler) rest(p peer.ID, err error) (counts bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.pauses[p]
	was.busy = false
	was.pause = pauseAfter(err, was.pause)
	was.next = time.Now().Add(max(was.pause, recon.OpenGap))
	var fault recon.Fault
	doubt := errors.As(err, &fault) && !fault.Proven()
	if doubt {
		was.doubts++
	} else {
		was.doubts = 0
	}
	r.pauses[p] = was
	return !doubt || was.doubts >= reconDoubts
}

// pauseAfter is how long a peer is left alone after a session that ended so.
func pauseAfter(err error, last time.Duration) time.Duration {
	switch _, charged := offenceFor(err); {
	case err == nil:
		return 0
	case charged:
		return min(max(reconPause, 2*last), reconPauseMax)
	default:
		return min(max(reconPause, 2*last), reconPauseLine)
	}
}

func (r *reconciler) ask(ctx context.Context, p peer.ID) (err error) {
	x, done, err := r.desk.ask(ctx, p, ReconProtocol(r.id), r.pace.MaxAge+reconMargin)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	machine, err := recon.NewInitiator(r.pace, &r.large, newSalt(), rng)
	if err != nil {
		return fmt.Errorf("overlay: reconcile: %w", err)
	}
	return r.talk(ctx, x, reconKey{p, true}, machine)
}

func newSalt() (s recon.Salt) {
	_, _ = crand.Read(s[:]) // never fails
	return s
}
