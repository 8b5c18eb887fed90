package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// txRoad is the way of transactions: from the topic through validation to the pool, and
// from the node to the topic.
type txRoad struct {
	self      peer.ID // constant
	cfg       Config
	log       *slog.Logger
	roster    *roster
	court     *court
	crew      *crew
	collector *collector
	outbox    outbox
	news      chan struct{} // capacity 1: the mesh or the outbox changed
	outflow   *outflow
	gaps      *gaps
	aside     *aside
	glanced   *glanced
	firsts    *firsts
	links     *links
	fetched   *fetchedTxs
	mesh      atomic.Pointer[mesh]
	echoed    func(id wire.TxID, from peer.ID) // told of what came and is known; set before Run
	waits     func(id wire.TxID) bool          // whether it is ours and waits for its echoes; set before Run
	holders   *holders
	beside    func(raw []byte)              // passes on beside the mesh what is published; set before Run, may be nil
	spare     func(on []peer.ID) bool       // whether that reaches one of these; set before Run, may be nil
	judged    func(id wire.TxID, err error) // told of verdicts on what has terms; set before Run, may be nil
	// came is told who brought it, and whether it was accepted; set before Run, may be nil.
	came func(id wire.TxID, from peer.ID, accepted bool)
}

func newTxRoad(cfg Config, self peer.ID, l *links, r *roster, c *court, w *crew) *txRoad {
	t := &txRoad{
		self: self, cfg: cfg, log: cfg.Logger, roster: r, court: c, crew: w,
		outbox:  outbox{maxCount: cfg.Limits.KeptTxs, maxBytes: cfg.Limits.KeptBytes},
		news:    make(chan struct{}, 1),
		links:   l,
		gaps:    newGaps(),
		aside:   newAside(),
		glanced: newGlanced(cfg.Checker),
		firsts:  newFirsts(),
		fetched: newFetchedTxs(cfg.Gossip.SeenTTL),
		outflow: newOutflow(cfg.Gossip.OutboundQueue),
		holders: newHolders(time.Now),
	}
	t.collector = newCollector(cfg.Limits, runtime.GOMAXPROCS(0), cfg.Checker, glanceOf(cfg.Pool), cfg.Now,
		func(ctx context.Context, tx validation.CheckedTx, from peer.ID) error {
			return cfg.Pool.AddTx(ctx, tx, peerscore.PeerID(from))
		}, t.late)
	t.collector.refused = t.glanced.note
	return t
}

// validate is the topic's validator. It may wait for a batch, so many run at once.
func (t *txRoad) validate(ctx context.Context, from peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	if from == t.self {
		return ownMessage[validation.CheckedTx](msg)
	}
	if !t.crew.enter() {
		return pubsub.ValidationIgnore
	}
	defer t.crew.leave()
	r := t.believe(ctx, from, msg.GetData())
	switch {
	case errors.Is(r.Err, errApart):
		t.aside.put(time.Now(), wire.TxIDOf(msg.GetData()))
		return pubsub.ValidationIgnore
	case errors.Is(r.Err, errUndecided):
		return pubsub.ValidationAccept
	case errors.Is(r.Err, validation.AlreadyKnown):
		t.echoed(wire.TxIDOf(msg.GetData()), from)
	}
	v := t.judge(from, r)
	if t.kept(r) {
		v = validation.Accept
	}
	return result(v)
}

// passes judges what the router does not pass on by itself, and says whether we do.
func (t *txRoad) passes(from peer.ID, r validation.TxResult) bool {
	return t.judge(from, r) == validation.Accept || !r.Checked.IsZero() && t.kept(r)
}

// kept says whether a transaction that came is one that was fetched and not passed on, once. One
// of ours that waits for its echoes is not passed on either: a peer that has it from us by the
// topic can echo it no more, and the announcer tells all that do not.
func (t *txRoad) kept(r validation.TxResult) bool {
	return errors.Is(r.Err, validation.AlreadyKnown) && !t.waits(r.ID) && t.fetched.take(time.Now(), r.ID)
}

// judge draws the conclusions from a check, and says what becomes of the message.
func (t *txRoad) judge(from peer.ID, r validation.TxResult) validation.Verdict {
	t.court.judge(from, r.Err)
	if !r.Checked.IsZero() {
		t.holders.came(from, r.ID)
	}
	if (r.ID != wire.TxID{}) {
		call2(t.judged, r.ID, r.Err)
	}
	if validation.Chargeable(r.Err) {
		t.chargeAvoidable(from, r.Err)
	}
	verdict := validation.Judge(r.Err)
	if (r.ID != wire.TxID{}) {
		call3(t.came, r.ID, from, verdict == validation.Accept)
	}
	if verdict == validation.Accept {
		t.roster.brought(from, false)
		t.firsts.note(r.ID, from)
	}
	if t.cfg.Hooks.TxArrived != nil {
		t.cfg.Hooks.TxArrived(r.ID, peerscore.PeerID(from), verdict, r.Err)
	}
	return verdict
}

// late does for the transaction of a suspect, which the router was told to ignore, what
// validate does for others: what is good is passed on as if it were ours. All suspects wait
// behind it, so it waits for no reader, no more than the router does with what others bring.
func (t *txRoad) late(ctx context.Context, r validation.TxResult, from peer.ID) {
	t.keepEarly(r, from)
	if t.passes(from, r) {
		t.passLate(ctx, r)
	}
}

// passLate passes on what the router was told to ignore, or took for a duplicate.
func (t *txRoad) passLate(ctx context.Context, r validation.TxResult) {
	m := t.mesh.Load()
	if m == nil {
		return
	}
	if err := t.pass(ctx, m, r.Checked); err != nil && ctx.Err() == nil {
		t.log.Warn("passing on a transaction that came by a suspect failed", "tx", r.Checked.ID(), "err", err)
	}
}

// believe checks a transaction and gives it to the pool. A panic of ours is an error
// that proves nothing.
func (t *txRoad) believe(ctx context.Context, from peer.ID, raw []byte) (r validation.TxResult) {
	defer func() {
		if thrown := recover(); thrown != nil {
			t.log.Error("panic while judging a transaction", "panic", thrown)
			r = panicked(thrown)
		}
	}()
	asked, err := t.collector.ask(ctx, raw, from)
	if errors.Is(err, errApartFull) {
		call3(t.cfg.Hooks.TxShed, peerscore.PeerID(from), 1, ShedOverload)
	}
	if err != nil {
		return validation.TxResult{Err: fmt.Errorf("%w: %w", validation.Unavailable, err)}
	}
	var tx validation.CheckedTx // once it is known to be well signed
	signed, patience := asked.signed, (<-chan time.Time)(nil)
	for {
		select {
		case r := <-asked.answer:
			t.keepEarly(r, from)
			return r
		case tx = <-signed:
			signed = nil
			if !tx.IsZero() {
				timer := time.NewTimer(t.cfg.Limits.AppPatience)
				defer timer.Stop()
				patience = timer.C
			}
		case <-patience:
			patience = nil
			if t.crew.spawn(func() { t.decided(ctx, asked, from) }) {
				return validation.TxResult{ID: tx.ID(), Checked: tx, Err: errUndecided}
			}
		case <-ctx.Done():
			return validation.TxResult{ID: tx.ID(), Checked: tx, Err: fmt.Errorf("%w: %w", validation.Unavailable, ctx.Err())}
		}
	}
}

// errUndecided says that a transaction is well signed and that the application takes its
// time. It is passed on: were it ignored now, it would be lost, for the router remembers it
// as seen; and whoever it does not convince will ignore it.
var errUndecided = fmt.Errorf("%w: the application has not answered yet", validation.Unavailable)

// decided draws the conclusions from an answer that came after the transaction was passed on.
func (t *txRoad) decided(ctx context.Context, asked asked, from peer.ID) {
	select {
	case r := <-asked.answer:
		t.keepEarly(r, from)
		t.judge(from, r)
	case <-ctx.Done():
	}
}

// keepEarly keeps what came too early to be pooled. What finds no place, or loses it, is shed.
func (t *txRoad) keepEarly(r validation.TxResult, from peer.ID) {
	if !errors.Is(r.Err, validation.NonceTooFar) || r.Checked.IsZero() {
		return
	}
	for _, loser := range t.gaps.put(early{r.Checked, from, time.Now().Add(gapPatience)}) {
		call3(t.cfg.Hooks.TxShed, peerscore.PeerID(loser), 1, ShedOverload)
	}
}

// retryGaps gives waiting transactions to the pool when those before them have come, and
// passes them on in that order: a message that was only ignored may be published here as if it
// were ours. The pool waits for no peer that reads slowly.
func (t *txRoad) retryGaps(ctx context.Context, m *mesh) {
	taken := make(chan validation.CheckedTx, gapPlaces)
	var sender sync.WaitGroup
	sender.Go(func() { t.sendTaken(ctx, m, taken) })
	defer sender.Wait()
	tick := time.NewTicker(gapTick)
	defer tick.Stop()
	for {
		if t.gaps.empty() {
			tick.Stop()
			select {
			case <-ctx.Done():
				return
			case <-t.gaps.news:
			}
			tick.Reset(gapTick)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, e := range t.gaps.retry(time.Now(), func(e early) (tooFar, taken bool) {
			err := t.cfg.Pool.AddTx(ctx, e.tx, peerscore.PeerID(e.from))
			return errors.Is(err, validation.NonceTooFar), err == nil
		}) {
			if t.cfg.Hooks.TxArrived != nil {
				t.cfg.Hooks.TxArrived(e.tx.ID(), peerscore.PeerID(e.from), validation.Accept, nil)
			}
			select {
			case taken <- e.tx:
			case <-ctx.Done():
				return
			}
		}
	}
}

// sendTaken passes on what left the gaps, until ctx ends.
func (t *txRoad) sendTaken(ctx context.Context, m *mesh, taken <-chan validation.CheckedTx) {
	for {
		select {
		case tx := <-taken:
			if err := t.send(ctx, m, tx); err != nil && ctx.Err() == nil {
				t.log.Warn("passing on a transaction that waited failed", "tx", tx.ID(), "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// chargeAvoidable takes one message from a peer's budget of messages that a fixed rule
// told it to drop.
func (t *txRoad) chargeAvoidable(from peer.ID, err error) {
	m := t.roster.get(from)
	if m != nil && !m.budget.avoidable.Allow() {
		t.court.judge(from, fmt.Errorf("%w: %v", errTooManyAvoidable, err)) //nolint:errorlint // the refusal itself is no offence
	}
}

// ended says whether a transaction's time is over, or the pool has it no more. Without a
// TxHolder only the former is known.
func (c *Config) ended(tx validation.CheckedTx) bool {
	holder, _ := c.Pool.(TxHolder)
	return c.expired(tx) || holder != nil && !holder.HasTx(tx.ID())
}

func (c *Config) expired(tx validation.CheckedTx) bool {
	return tx.Terms().ExpiredAt(validation.UnixMillis(c.Now()))
}

// publish announces a transaction, or keeps it until somebody is there to hear it.
func (t *txRoad) publish(ctx context.Context, tx validation.CheckedTx) error {
	if tx.IsZero() {
		return errors.New("overlay: publish: the transaction is not checked")
	}
	m := t.mesh.Load()
	// Order is kept: nothing overtakes what waits.
	if m == nil || t.outbox.len() > 0 || !t.heard(m) {
		waiting, err := t.outbox.put(tx)
		call(t.cfg.Hooks.TxKept, waiting)
		t.nudge()
		return err
	}
	return t.send(ctx, m, tx)
}

// heard says whether what is published now is sent to anybody: to the mesh or, where all of it
// was found out to be worth nothing, beside it.
func (t *txRoad) heard(m *mesh) bool {
	return t.links.len() > 0 || t.spare != nil && t.spare(m.topic.ListPeers())
}

// send publishes a transaction once peers have read what waits for them, within a bound of
// time.
func (t *txRoad) send(ctx context.Context, m *mesh, tx validation.CheckedTx) error {
	if err := t.outflow.wait(ctx); err != nil {
		return fmt.Errorf("overlay: publish transaction %s: %w", tx.ID(), err)
	}
	return t.pass(ctx, m, tx)
}

// pass publishes a transaction now, unless it has expired.
func (t *txRoad) pass(ctx context.Context, m *mesh, tx validation.CheckedTx) error {
	if t.cfg.expired(tx) {
		return nil
	}
	if err := m.publish(ctx, tx.Tx().Bytes(), tx); err != nil {
		return fmt.Errorf("overlay: publish transaction %s: %w", tx.ID(), err)
	}
	call(t.beside, tx.Tx().Bytes())
	return nil
}

// pulled is when the topic last brought what it was asked for; zero before that.
func (t *txRoad) pulled() time.Time {
	if m := t.mesh.Load(); m != nil {
		return m.inspector.pulls.answered()
	}
	return time.Time{}
}

// meshed follows the links of the mesh.
func (t *txRoad) meshed(p peer.ID, in bool) {
	t.links.set(p, in)
	t.nudge()
}

func (t *txRoad) nudge() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// run sends what waits as soon as there is a mesh link, until ctx ends. Where no link
// forms although peers are on the topic (all of them refuse us for now), it publishes
// all the same: the router then announces the ids to peers outside the mesh.
func (t *txRoad) run(ctx context.Context, m *mesh) {
	t.mesh.Store(m)
	defer t.mesh.Store(nil)
	tick := time.NewTicker(t.cfg.Gossip.Heartbeat)
	defer tick.Stop()
	alone := time.Time{} // since when there are peers on the topic, but none that is sent anything
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.news:
		case <-tick.C:
		}
		switch {
		case t.outbox.len() == 0:
			alone = time.Time{}
			continue
		case t.heard(m):
		case len(m.topic.ListPeers()) == 0:
			alone = time.Time{}
			continue
		case alone.IsZero():
			alone = time.Now()
			continue
		case time.Since(alone) < t.cfg.Gossip.MeshPatience:
			continue
		}
		t.flush(ctx, m)
	}
}

// flush publishes what waits, but for what has ended meanwhile: that may be most of it.
func (t *txRoad) flush(ctx context.Context, m *mesh) {
	for ctx.Err() == nil {
		tx, ok := t.outbox.take()
		if !ok {
			call(t.cfg.Hooks.TxKept, 0)
			return
		}
		if t.cfg.ended(tx) {
			continue
		}
		if err := t.send(ctx, m, tx); err != nil {
			t.log.Warn("publishing a waiting transaction failed", "tx", tx.ID(), "err", err)
		}
	}
}

// ownMessage accepts what this node published itself: it was checked before, as the
// type of what travels beside it shows.
func ownMessage[Checked any](msg *pubsub.Message) pubsub.ValidationResult {
	if _, ok := msg.ValidatorData.(Checked); ok {
		return pubsub.ValidationAccept
	}
	return pubsub.ValidationIgnore
}

func result(v validation.Verdict) pubsub.ValidationResult {
	switch v {
	case validation.Accept:
		return pubsub.ValidationAccept
	case validation.Reject:
		return pubsub.ValidationReject
	case validation.Ignore:
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationIgnore
}
