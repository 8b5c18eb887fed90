package overlay

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	stemTick = 250 * time.Millisecond
	// stemTime is for handing on one transaction. A relay that takes longer is passed over:
	// the transaction may then have two stems, which hurts nobody.
	stemTime     = 3 * time.Second
	serveStem    = 64 // transactions taken at once
	serveStemPer = 4  // from one peer
)

// StemProtocol hands a peer a transaction that is not to be published yet.
func StemProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/stem/1")
}

// stems carries transactions that nobody has published, ours and those of peers, until
// somebody does.
type stems struct {
	cfg       Config // constant, as all to desk
	id        wire.NetworkID
	holder    TxHolder // may be nil
	log       *slog.Logger
	roster    *roster
	court     *court
	txs       *txRoad
	announcer *announcer
	crew      *crew
	desk      *desk // set before run

	mu     sync.Mutex // guards what follows
	router *stem.Router
	ctx    context.Context // of Run; nil before
}

func newStems(o *Overlay) (*stems, error) {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	router, err := stem.New(o.cfg.Stem, rand.New(rand.NewChaCha8(seed)))
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	holder, _ := o.cfg.Pool.(TxHolder)
	return &stems{
		cfg: o.cfg, id: o.id, holder: holder, log: o.log, roster: o.roster, court: o.court, txs: o.txs,
		announcer: o.announcer, crew: o.crew, router: router,
	}, nil
}

// own sends a transaction of ours on its way.
func (s *stems) own(tx validation.CheckedTx) error {
	peers := s.relays()
	s.mu.Lock()
	s.router.Peers(time.Now(), peers)
	to, err := s.router.Own(time.Now(), tx)
	ctx := s.ctx
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	if ctx != nil && len(to) > 0 {
		s.crew.spawn(func() { s.hand(ctx, tx, to) })
	}
	return nil
}

// hand gives a transaction to the first of these peers that takes it.
func (s *stems) hand(ctx context.Context, tx validation.CheckedTx, to []peerscore.PeerID) {
	for _, p := range to {
		err := s.give(ctx, peer.ID(p), tx)
		if err == nil {
			return
		}
		s.log.Debug("a relay did not take a transaction for its stem", "peer", peer.ID(p), "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.router.Stuck(time.Now(), tx.ID())
}

func (s *stems) give(ctx context.Context, p peer.ID, tx validation.CheckedTx) (err error) {
	x, done, err := s.desk.ask(ctx, p, StemProtocol(s.id), stemTime)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	if err = x.write(announceFrame(tx.Tx().Bytes())); err != nil {
		return fmt.Errorf("overlay: hand on a transaction: %w", err)
	}
	if err = x.CloseWrite(); err != nil {
		return fmt.Errorf("overlay: hand on a transaction: %w", err)
	}
	if _, err = x.read(0); !errors.Is(err, io.EOF) {
		return fmt.Errorf("overlay: hand on a transaction: it was not taken: %w", err)
	}
	return nil
}

// answer takes a transaction that a peer hands in. It is neither pooled nor told of: until
// it is public, whoever asks must not find it here.
func (s *stems) answer(ctx context.Context, x *exchange) error {
	raw, err := x.read(maxPush)
	if err != nil {
		return fmt.Errorf("overlay: read transaction on its stem: %w", err)
	}
	raw, err = announceContent(raw)
	if err != nil {
		return fmt.Errorf("overlay: read transaction on its stem: %w", err)
	}
	m := s.roster.get(x.peer())
	if m == nil {
		return errGone
	}
	if !m.budget.txs.units.AllowN(time.Now(), 1) {
		return errBusy
	}
	if err := waitFor(ctx, m.budget.txBytes, len(raw)); err != nil {
		return fmt.Errorf("overlay: take transaction on its stem: %w", err)
	}
	if s.holder != nil && s.holder.HasTx(wire.TxIDOf(raw)) {
		return nil // public
	}
	tx, err := s.cfg.Checker.Tx(ctx, s.cfg.Now(), raw)
	if err != nil {
		return fmt.Errorf("overlay: judge transaction on its stem: %w", err)
	}
	peers := s.relays()
	s.mu.Lock()
	s.router.Peers(time.Now(), peers)
	step := s.router.Relayed(time.Now(), peerscore.PeerID(x.peer()), tx)
	run := s.ctx
	s.mu.Unlock()
	switch {
	case run == nil:
	case step.Publish:
		s.crew.spawn(func() { s.publish(run, stem.Released{Tx: tx, From: peerscore.PeerID(x.peer())}) })
	default:
		s.crew.spawn(func() { s.hand(run, tx, step.To) })
	}
	return nil
}

// publish makes a transaction as public as any: one of ours as if it were submitted now, one
// of a peer as if it came on the topic.
func (s *stems) publish(ctx context.Context, r stem.Released) {
	if r.From != "" {
		s.txs.takePushed(ctx, peer.ID(r.From), r.Tx.Tx().Bytes())
		return
	}
	err := s.cfg.Pool.AddTx(ctx, r.Tx, "")
	if err != nil && !errors.Is(err, validation.AlreadyKnown) {
		s.log.Info("a transaction on its stem is not wanted any more", "tx", r.Tx.ID(), "err", err)
		return
	}
	if err := s.txs.publish(ctx, r.Tx); err != nil && ctx.Err() == nil {
		s.log.Warn("publishing a transaction from its stem failed", "tx", r.Tx.ID(), "err", err)
	}
	s.announcer.follow(r.Tx, s.cfg.Limits.AnnounceAfter)
}

// run looks after what is held until ctx ends.
func (s *stems) run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	every(ctx, stemTick, func() {
		due, again, to := s.turn(time.Now())
		for _, r := range due {
			s.publish(ctx, r)
		}
		for _, tx := range again {
			s.crew.spawn(func() { s.hand(ctx, tx, to) })
		}
	})
}

// turn says what is to be published now, and what of ours is to be handed on now.
func (s *stems) turn(now time.Time) (due []stem.Released, again []validation.CheckedTx, to []peerscore.PeerID) {
	if s.open() == 0 {
		return nil, nil, nil
	}
	peers := s.relays()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.router.Peers(now, peers)
	if s.holder != nil {
		for _, id := range s.router.Holding() {
			if s.holder.HasTx(id) {
				s.router.Seen(id)
			}
		}
	}
	due = s.router.Due(now)
	again, to = s.router.Retry(now)
	return due, again, to
}

// relays are the peers that may be handed transactions: those that we dialled, since whoever
// wants to be our relay can dial us.
func (s *stems) relays() []peerscore.PeerID {
	var out []peerscore.PeerID
	for _, m := range s.roster.heads() {
		if m.direction != network.DirOutbound {
			continue
		}
		if spoken, err := s.desk.host.Peerstore().SupportsProtocols(m.id, StemProtocol(s.id)); err == nil && len(spoken) > 0 {
			out = append(out, peerscore.PeerID(m.id))
		}
	}
	return out
}

// open is the number of transactions that are on their stems here.
func (s *stems) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.router.Len()
}
