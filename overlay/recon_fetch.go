package overlay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// fetchAtOnce is how many transactions of an answer are judged at a time: as many as fit into
// a batch.
const fetchAtOnce = 64

// fetch asks a peer for transactions, and tells the tracker which of them did not come.
func (r *reconciler) fetch(ctx context.Context, q fetch.Request) {
	p := peer.ID(q.Peer)
	got, err := r.fetchFrom(ctx, p, q.IDs)
	empty := got == 0 && ctx.Err() == nil // an answer may stop early, but not before it began
	if err != nil && ctx.Err() == nil {
		r.log.Debug("fetching transactions failed", "peer", p, "count", len(q.IDs), "err", err)
		r.court.judge(p, err)
	}
	r.mu.Lock()
	if got > 0 {
		r.hunger.fetched = time.Now()
	}
	for _, id := range q.IDs {
		if r.tracker.Failed(q.Peer, id) && empty { // those that came are not asked for any more
			r.pledges.lapsed(time.Now(), p, id, false)
		}
	}
	r.mu.Unlock()
	r.poke()
	if got > 0 {
		call2(r.cfg.Hooks.TxFetched, q.Peer, got)
		r.hasten(p, got)
	}
}

func (r *reconciler) fetchFrom(ctx context.Context, p peer.ID, ids []wire.TxID) (got int, err error) {
	x, done, err := r.desk.ask(ctx, p, FetchProtocol(r.id), r.cfg.Limits.FetchTime)
	if err != nil {
		return 0, err
	}
	defer func() { done(err) }()
	content := make([]byte, 0, len(ids)*len(wire.TxID{}))
	for _, id := range ids {
		content = append(content, id[:]...)
	}
	if err := x.write(announceFrame(content)); err != nil {
		return 0, fmt.Errorf("overlay: ask for transactions: %w", err)
	}
	var judging sync.WaitGroup
	defer judging.Wait()
	places := make(chan struct{}, fetchAtOnce)
	for _, id := range ids {
		raw, err := x.read(maxPush)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, fmt.Errorf("overlay: read fetched transaction: %w", err)
		}
		tx, err := announceContent(raw)
		if err != nil {
			return got, fmt.Errorf("overlay: read fetched transaction: %w", err)
		}
		if len(tx) == 0 {
			r.missed(p, id)
			continue
		}
		if wire.TxIDOf(tx) != id {
			return got, fmt.Errorf("overlay: read fetched transaction: %w: not %s", NotAsked, id)
		}
		got++
		r.arrived(p, id)
		places <- struct{}{}
		judging.Go(func() {
			defer func() { <-places }()
			if r.txs.takeFetched(ctx, p, tx) {
				r.accepted(p)
			}
		})
	}
	return got, nil
}

func (r *reconciler) arrived(p peer.ID, id wire.TxID) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracker.Arrived(id)
	r.known.tried.put(now, id)
	r.pledges.gave(now, p)
}

// accepted counts what a peer told us, and we lacked and took.
func (r *reconciler) accepted(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[reconKey{p, true}]; s != nil {
		s.lacked++
	}
}

// missed has a transaction asked of somebody else, since a peer denies that it has it.
func (r *reconciler) missed(p peer.ID, id wire.TxID) {
	r.mu.Lock()
	r.tracker.Failed(peerscore.PeerID(p), id)
	r.pledges.lapsed(time.Now(), p, id, true)
	r.mu.Unlock()
	r.poke()
}

// takeFetched judges one transaction that we asked for. It is not passed on: the peers of the
// mesh have it, or ask for it in their turn. It says whether the pool took it at once.
func (t *txRoad) takeFetched(ctx context.Context, from peer.ID, raw []byte) (taken bool) {
	r := t.believe(ctx, from, raw)
	if errors.Is(r.Err, errApart) || errors.Is(r.Err, errUndecided) {
		return false // judged later
	}
	return t.judge(from, r) == validation.Accept && r.Err == nil
}

// answerFetch sends the transactions that a peer asks for, each in its frame, which is empty
// for one that is not pooled here. It may stop early.
func (r *reconciler) answerFetch(ctx context.Context, x *exchange) error {
	raw, err := x.read(maxAnnounce)
	if err != nil {
		return fmt.Errorf("overlay: read request for transactions: %w", err)
	}
	ids, err := announcedIDs(raw)
	if err != nil {
		return fmt.Errorf("overlay: read request for transactions: %w", err)
	}
	out := bufio.NewWriterSize(r.desk.lane.beside(ctx, x.Stream), copiedFrame)
	left := r.cfg.Limits.AnnounceBytes
	for _, id := range ids {
		var content []byte
		if tx, ok := r.source.Tx(id); ok {
			content = tx.Tx().Bytes()
		}
		if left -= len(content); left < 0 {
			break
		}
		if err := r.desk.spend(ctx, x.peer(), max(len(content), frameCharge)); err != nil {
			return fmt.Errorf("overlay: send transactions: %w", err)
		}
		if err := writeFrame(out, announceFrame(content)); err != nil {
			return fmt.Errorf("overlay: send transaction %s: %w", id, err)
		}
		if len(content) > 0 {
			r.holders.holds(x.peer(), id)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("overlay: send transactions: %w", err)
	}
	return nil
}
