package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TxHolder is a Pool that says what it holds. Where it does not, every announced
// transaction is asked for, and own ones are followed until they are echoed or there is no
// room.
type TxHolder interface {
	// HasTx says whether a transaction is pooled. It is asked often.
	HasTx(id wire.TxID) bool
}

const (
	announceTick  = time.Second
	announcePeers = 3    // told in one tick
	announceSweep = 1000 // followed transactions whose end is looked for in one tick
)

// announcer tells peers of this node's own transactions, on streams of its own, until they
// echoed them: a second publication on the topic reaches nobody who remembers the first.
type announcer struct {
	cfg     Config // constant
	id      wire.NetworkID
	log     *slog.Logger
	full    rate.Sometimes // says that there is no room, not as often as that happens
	roster  *roster
	desk    *desk // set before run, as holders
	holders *holders

	mu   sync.Mutex // guards what follows
	book *echoBook
}

func newAnnouncer(cfg Config, r *roster) *announcer {
	book := newEchoBook(cfg.Limits, cfg.EchoNetworks)
	book.dialled = r.dialled
	return &announcer{cfg: cfg, id: cfg.Genesis.ID(), log: cfg.Logger, roster: r, book: book, full: rate.Sometimes{Interval: time.Minute}}
}

// follow begins to tell peers of a transaction, after a time.
func (a *announcer) follow(tx validation.CheckedTx, after time.Duration) {
	message := MessageID(a.id, TxTopic(a.id), tx.Tx().Bytes())
	a.mu.Lock()
	ok := a.book.follow(tx, message, time.Now().Add(after))
	a.mu.Unlock()
	if !ok {
		a.full.Do(func() {
			a.log.Warn("too many own transactions wait for their echo; some are not followed for now", "followed", a.cfg.Limits.FollowedTxs)
		})
	}
}

// open is the number of transactions that have not been echoed enough.
func (a *announcer) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.book.open
}

// relayed notes that a peer sent us a transaction that we had.
func (a *announcer) relayed(id wire.TxID, p peer.ID) {
	if a.waits(id) {
		a.echoed(id, p, true)
	}
}

// waits says whether a transaction has not been echoed enough.
func (a *announcer) waits(id wire.TxID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.book.txs[id]
	return f != nil && !f.done
}

// heard notes ids of messages that a peer announces on the topic.
func (a *announcer) heard(messages []string, p peer.ID) {
	var ids []wire.TxID
	a.mu.Lock()
	if a.book.open > 0 {
		for _, m := range messages {
			if id, ok := a.book.byMessage[m]; ok {
				ids = append(ids, id)
			}
		}
	}
	a.mu.Unlock()
	for _, id := range ids {
		a.echoed(id, p, false)
	}
}

// sent notes that the router sends a message to a peer.
func (a *announcer) sent(id wire.TxID, p peer.ID) { a.sentTo(id, p, false) }

func (a *announcer) sentTo(id wire.TxID, p peer.ID, direct bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.book.sent(id, p, direct)
}

func (a *announcer) echoed(id wire.TxID, p peer.ID, relayed bool) {
	network, connected := a.roster.networkOf(p), a.connected()
	a.mu.Lock()
	enough := a.book.echoed(id, p, network, relayed, connected)
	a.mu.Unlock()
	if enough {
		call(a.cfg.Hooks.TxEchoed, id)
	}
}

// connected is the number of peers that could echo.
func (a *announcer) connected() int { return a.roster.count(greeted) + a.roster.count(guest) }

// run tells a few peers at a time until ctx ends.
func (a *announcer) run(ctx context.Context) {
	every(ctx, announceTick, func() {
		a.sweep()
		if a.open() > 0 {
			a.round(ctx)
		}
	})
}

func (a *announcer) sweep() {
	connected := a.connected()
	a.mu.Lock()
	enough := a.book.sweep(announceSweep, connected, a.cfg.ended)
	a.mu.Unlock()
	for _, id := range enough {
		call(a.cfg.Hooks.TxEchoed, id)
	}
}

// round tells a few peers, chosen by chance, what they have not echoed. What was told waits
// before it is told again. A transaction is sent to one peer a round: others should have it
// from there, and be able to echo it.
func (a *announcer) round(ctx context.Context) {
	now := time.Now()
	told := make(map[wire.TxID]bool) // true: and sent
	peers := a.roster.heads()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	for _, m := range peers[:min(announcePeers, len(peers))] {
		txs := slices.DeleteFunc(a.due(now, m.id), func(tx validation.CheckedTx) bool { return told[tx.ID()] })
		if len(txs) == 0 {
			continue
		}
		err := a.tell(ctx, m.id, txs, told)
		if err != nil {
			a.log.Debug("announcing transactions failed", "peer", m.id, "count", len(txs), "err", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range told {
		a.book.told(id, now)
	}
}

// due is what a peer is to be told now. What has ended is swept away in time, which may be
// after its turn has come.
func (a *announcer) due(now time.Time, p peer.ID) []validation.CheckedTx {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(a.book.due(now, p, maxAnnounced), a.cfg.ended)
}

// tell announces transactions to a peer and sends those that it lacks, within a bound of
// bytes. It notes in told of which the peer was told, and whether it was sent them.
func (a *announcer) tell(ctx context.Context, p peer.ID, txs []validation.CheckedTx, told map[wire.TxID]bool) (err error) {
	x, done, err := a.desk.ask(ctx, p, AnnounceProtocol(a.id), a.cfg.Limits.AnnounceTime)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	ids := make([]byte, 0, len(txs)*len(wire.TxID{}))
	for _, tx := range txs {
		id := tx.ID()
		ids = append(ids, id[:]...)
	}
	if err := x.write(announceFrame(ids)); err != nil {
		return fmt.Errorf("overlay: announce transactions: %w", err)
	}
	raw, err := x.read(maxWant)
	if err != nil {
		return fmt.Errorf("overlay: read what is wanted of announced transactions: %w", err)
	}
	wanted, err := wantedOf(raw, len(txs))
	if err != nil {
		err = fmt.Errorf("overlay: read what is wanted of announced transactions: %w: %w", BadAnswer, err)
		a.desk.judge(p, err)
		return err
	}
	out, left := a.desk.lane.beside(ctx, x.Stream), a.cfg.Limits.AnnounceBytes
	for i, tx := range txs {
		if !wanted.has(i) {
			told[tx.ID()] = told[tx.ID()]
			a.echoed(tx.ID(), p, false)
			a.holders.holds(p, tx.ID())
			continue
		}
		if left -= tx.Size(); left < 0 {
			return nil
		}
		told[tx.ID()] = true
		a.sentTo(tx.ID(), p, true)
		if err := writeFrame(out, announceFrame(tx.Tx().Bytes())); err != nil {
			return fmt.Errorf("overlay: send announced transaction %s: %w", tx.ID(), err)
		}
	}
	return nil
}

// answerAnnounce takes what a peer announces and we lack. It goes the way of all
// transactions, but for the mesh of who sent it: what is good is passed on as if it were
// ours, whether or not the mesh remembers it.
func (t *txRoad) answerAnnounce(ctx context.Context, x *exchange) error {
	raw, err := x.read(maxAnnounce)
	if err != nil {
		return fmt.Errorf("overlay: read announcement: %w", err)
	}
	ids, err := announcedIDs(raw)
	if err != nil {
		return fmt.Errorf("overlay: read announcement: %w", err)
	}
	m := t.roster.get(x.peer())
	if m == nil {
		return errGone
	}
	if !m.budget.txs.units.AllowN(time.Now(), len(ids)) {
		return errBusy
	}
	holder, _ := t.cfg.Pool.(TxHolder)
	wanted := newPlaces(len(ids))
	var want []wire.TxID
	for i, id := range ids {
		t.holders.holds(x.peer(), id)
		if holder == nil || !holder.HasTx(id) {
			wanted.set(i)
			want = append(want, id)
		}
	}
	if err := x.write(announceFrame(wanted)); err != nil {
		return fmt.Errorf("overlay: answer announcement: %w", err)
	}
	return t.takeAnnounced(ctx, x, m, want)
}

// takeAnnounced reads the transactions that were asked for, in the order of the
// announcement. The other side may stop early.
func (t *txRoad) takeAnnounced(ctx context.Context, x *exchange, m *member, want []wire.TxID) error {
	left := t.cfg.Limits.AnnounceBytes
	for _, id := range want {
		raw, err := x.read(maxPush)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("overlay: read announced transaction: %w", err)
		}
		tx, err := announceContent(raw)
		if err != nil {
			return fmt.Errorf("overlay: read announced transaction: %w", err)
		}
		if wire.TxIDOf(tx) != id {
			return fmt.Errorf("overlay: read announced transaction: %w: not %s", NotAsked, id)
		}
		if left -= len(tx); left < 0 {
			return fmt.Errorf("overlay: read announced transaction: %w", FrameTooMany)
		}
		if err := waitFor(ctx, m.budget.txBytes, len(tx)); err != nil {
			return fmt.Errorf("overlay: take announced transaction: %w", err)
		}
		t.takePushed(ctx, x.peer(), tx)
	}
	return nil
}

// takePushed judges one transaction that came on a stream of ours.
func (t *txRoad) takePushed(ctx context.Context, from peer.ID, raw []byte) {
	r := t.believe(ctx, from, raw)
	if errors.Is(r.Err, errApart) {
		return // it is passed on once it proved good
	}
	m := t.mesh.Load()
	if !errors.Is(r.Err, errUndecided) && !t.passes(from, r) || m == nil {
		return
	}
	if err := t.send(ctx, m, r.Checked); err != nil && ctx.Err() == nil {
		t.log.Warn("passing on an announced transaction failed", "tx", r.ID, "err", err)
	}
}
