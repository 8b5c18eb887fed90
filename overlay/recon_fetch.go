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

// fetching is a request that is out, or waits to be sent.
type fetching struct {
	peer   peer.ID // constant
	ids    []wire.TxID
	cancel context.CancelFunc // ends the stream

	// These belong to the reconciler's mutex.
	left map[wire.TxID]bool // not answered, and not asked of somebody else
	sent bool
}

// asking is called with the mutex held, for a request that the tracker made. within ends when
// there is nothing left of it to wait for.
func (r *reconciler) asking(ctx context.Context, q fetch.Request) (f *fetching, within context.Context) {
	f = &fetching{peer: peer.ID(q.Peer), ids: q.IDs, left: make(map[wire.TxID]bool, len(q.IDs))}
	within, f.cancel = context.WithCancel(ctx)
	for _, id := range q.IDs {
		f.left[id] = true
	}
	if r.fetches[f.peer] == nil {
		r.fetches[f.peer] = make(map[*fetching]bool)
	}
	r.fetches[f.peer][f] = true
	return f, within
}

// expired is called with the mutex held, when a transaction may be asked of somebody else. A
// request of which nothing is left to wait for ends.
func (r *reconciler) expired(now time.Time, b fetch.Broken) {
	for f := range r.fetches[peer.ID(b.Peer)] {
		if !f.left[b.ID] {
			continue
		}
		delete(f.left, b.ID)
		if f.sent {
			r.pledges.lapsed(now, f.peer, b.ID, false)
		}
		if len(f.left) == 0 {
			f.cancel()
		}
	}
}

// fetch asks a peer for transactions, and tells the tracker which of them did not come.
func (r *reconciler) fetch(ctx, within context.Context, f *fetching) {
	got, err := r.fetchFrom(ctx, within, f)
	over := within.Err() != nil
	if err != nil && !over {
		r.log.Debug("fetching transactions failed", "peer", f.peer, "count", len(f.ids), "err", err)
		r.court.judge(f.peer, err)
	}
	r.finish(f, got, over)
	r.poke()
	if got > 0 {
		call2(r.cfg.Hooks.TxFetched, peerscore.PeerID(f.peer), got)
		r.hasten(f.peer, got)
	}
}

// finish ends a request. An answer may stop early, but not before it began.
func (r *reconciler) finish(f *fetching, got int, over bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got > 0 {
		r.hunger.fetched = now
	}
	f.cancel()
	for _, id := range f.ids {
		if f.left[id] && r.tracker.Failed(peerscore.PeerID(f.peer), id) && f.sent && got == 0 && !over {
			r.pledges.lapsed(now, f.peer, id, false)
		}
	}
	if delete(r.fetches[f.peer], f); len(r.fetches[f.peer]) == 0 {
		delete(r.fetches, f.peer)
	}
}

// send says which transactions of a request are still to be asked for, now that it is to be sent.
func (r *reconciler) send(f *fetching) (ids []wire.TxID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.sent = true
	for _, id := range f.ids {
		if f.left[id] && r.tracker.Asks(peerscore.PeerID(f.peer), id) {
			ids = append(ids, id)
		} else {
			delete(f.left, id) // it came by gossip, or another is asked
		}
	}
	return ids
}

// paced tells the tracker of all that comes of an answer.
type paced struct {
	io.Reader
	r    *reconciler
	peer peer.ID
}

func (p paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.r.mu.Lock()
		p.r.tracker.Progress(time.Now(), peerscore.PeerID(p.peer), n)
		p.r.mu.Unlock()
	}
	return n, err //nolint:wrapcheck // a reader's error is its stream's
}

func (r *reconciler) fetchFrom(ctx, within context.Context, f *fetching) (got int, err error) {
	x, done, err := r.desk.ask(within, f.peer, FetchProtocol(r.id), r.cfg.Limits.FetchTime)
	if err != nil {
		return 0, err
	}
	defer func() { done(err) }()
	ids := r.send(f)
	if len(ids) == 0 {
		return 0, context.Canceled // nothing was written: the stream has nobody to answer
	}
	content := make([]byte, 0, len(ids)*len(wire.TxID{}))
	for _, id := range ids {
		content = append(content, id[:]...)
	}
	if err := x.write(announceFrame(content)); err != nil {
		return 0, fmt.Errorf("overlay: ask for transactions: %w", err)
	}
	x.in = bufio.NewReader(paced{x.Stream, r, f.peer})
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
			r.missed(f, id)
			continue
		}
		if wire.TxIDOf(tx) != id {
			return got, fmt.Errorf("overlay: read fetched transaction: %w: not %s", NotAsked, id)
		}
		got++
		r.arrived(f, id)
		places <- struct{}{}
		judging.Go(func() {
			defer func() { <-places }()
			if r.txs.takeFetched(ctx, f.peer, tx) && !r.links.has(f.peer) {
				r.hidden.gives(time.Now(), f.peer, id)
			}
		})
	}
	return got, nil
}

func (r *reconciler) arrived(f *fetching, id wire.TxID) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(f.left, id)
	r.tracker.Arrived(id)
	r.known.tried.put(now, id)
	r.pledges.gave(now, f.peer)
}

// missed has a transaction asked of somebody else, since a peer denies that it has it.
func (r *reconciler) missed(f *fetching, id wire.TxID) {
	r.mu.Lock()
	delete(f.left, id)
	r.tracker.Failed(peerscore.PeerID(f.peer), id)
	r.pledges.lapsed(time.Now(), f.peer, id, true)
	r.mu.Unlock()
	r.poke()
}

// takeFetched judges one transaction that we asked for. It is not passed on unless the topic
// brings it, too: the peers of the mesh have it, or ask for it in their turn. It says whether the
// pool took it at once.
func (t *txRoad) takeFetched(ctx context.Context, from peer.ID, raw []byte) (taken bool) {
	t.fetched.put(time.Now(), wire.TxIDOf(raw)) // first: the topic may bring it as soon as it is pooled
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
