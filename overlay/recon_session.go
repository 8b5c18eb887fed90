package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// reconQueue is how many frames may wait to be read by a peer: more than one answer has.
const reconQueue = 32

var (
	errReconUnread = errors.New("overlay: the peer does not read what it is told")
	errReconAnew   = errors.New("overlay: sessions begin anew")
	errReconSpare  = errors.New("overlay: other links are reconciled")
	// errReconShunned ends the sessions of who is charged already.
	errReconShunned = errors.New("overlay: the peer tells what it does not give")
)

// reconMachine is one side of a session.
type reconMachine interface {
	Step(now time.Time, ev recon.Event, out []recon.Action) []recon.Action
	Next() (time.Time, bool)
	Add(id wire.TxID)
	Remove(id wire.TxID)
	Leave(until time.Time)
	End()
}

// reconSession is one session on its stream. All but out belongs to the reconciler's mutex.
type reconSession struct {
	key     reconKey // constant
	machine reconMachine
	out     chan []byte
	cancel  context.CancelCauseFunc
	done    <-chan struct{} // closed once it is cancelled

	over      bool
	exchanges int
	// agreed are ids that the peer has told us, and that we had and do not want. They count as
	// known to both, so that they are told once a session.
	agreed map[wire.TxID]bool
	apart  bool      // the peer was on another branch when the session began
	forked time.Time // until when the session waits for the peer and us to be on one chain; zero if it does not
}

// maxAgreed bounds what is agreed in a session: there may be a hundred of them, and what is in a
// block is agreed with whoever tells it. What is beyond is told again, in turn with the rest.
const maxAgreed = 8192

// agree takes an id for known to both sides.
func (s *reconSession) agree(id wire.TxID) {
	if s.over || s.agreed[id] || len(s.agreed) >= maxAgreed {
		return
	}
	if s.agreed == nil {
		s.agreed = make(map[wire.TxID]bool)
	}
	s.agreed[id] = true
	s.machine.Add(id)
}

// changed tells the session of an id that entered the set or left it.
func (s *reconSession) changed(id wire.TxID, added, removed bool) {
	switch {
	case s.over:
	case added && s.agreed[id]:
		delete(s.agreed, id) // it is counted already
	case added:
		s.machine.Add(id)
	case removed:
		s.machine.Remove(id)
	}
}

// reconKey names a session: a peer has one in each direction.
type reconKey struct {
	peer peer.ID
	asks bool // we opened it
}

// talk carries a session over its stream until either ends. It returns why, or nil if the
// peer ended it or its time was over.
func (r *reconciler) talk(ctx context.Context, x *exchange, key reconKey, machine reconMachine) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = x.Reset() })()
	s := &reconSession{key: key, machine: machine, out: make(chan []byte, reconQueue), cancel: cancel, done: ctx.Done()}
	if !r.begin(s) {
		return errBusy
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := r.write(ctx, x, s); err != nil {
			cancel(err)
		}
	})
	err := r.listen(x, s)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	writer.Wait()
	r.end(s, err)
	if !key.asks && errors.Is(err, io.EOF) {
		return nil
	}
	for _, ours := range []error{recon.ErrAge, errReconAnew, errReconSpare, errReconShunned} {
		if errors.Is(err, ours) {
			return nil
		}
	}
	return err
}

// listen feeds the peer's frames to the session until the stream ends.
func (r *reconciler) listen(x *exchange, s *reconSession) error {
	wait := r.cfg.Limits.ReconIdle
	if !s.key.asks {
		wait = r.cfg.Limits.FirstFrame // who opens a session greets at once
	}
	for ; ; wait = r.cfg.Limits.ReconIdle {
		raw, err := r.next(x, wait)
		if err != nil {
			return err
		}
		f, err := recon.Decode(raw)
		if err != nil {
			return fmt.Errorf("overlay: reconcile: %w", err)
		}
		call2(r.cfg.Hooks.ReconBytes, 0, len(raw))
		r.step(s, recon.Received{Frame: f})
	}
}

// next reads one frame, which the peer has to begin in time.
func (r *reconciler) next(x *exchange, wait time.Duration) ([]byte, error) {
	_ = x.SetReadDeadline(time.Now().Add(wait))
	if _, err := x.in.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, FrameSlow
		}
		return nil, err
	}
	_ = x.SetReadDeadline(time.Now().Add(r.cfg.Limits.FrameTime))
	return x.read(recon.MaxFrame)
}

// write sends what the session says.
func (r *reconciler) write(ctx context.Context, x *exchange, s *reconSession) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case frame := <-s.out:
			if err := r.desk.spend(ctx, s.key.peer, len(frame)); err != nil {
				return err
			}
			_ = x.SetWriteDeadline(time.Now().Add(r.cfg.Limits.FrameTime))
			if err := x.write(frame); err != nil {
				return fmt.Errorf("overlay: reconcile: %w", err)
			}
			call2(r.cfg.Hooks.ReconBytes, len(frame), 0)
		}
	}
}

// begin takes a session in.
func (r *reconciler) begin(s *reconSession) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.key] != nil || r.pledges.shuns(time.Now(), s.key.peer) {
		return false
	}
	r.sessions[s.key] = s
	call(r.cfg.Hooks.ReconSessions, len(r.sessions))
	r.await(time.Now(), s)
	r.stepLocked(s, recon.Tick{})
	r.poke()
	return true
}

// end forgets a session.
func (r *reconciler) end(s *reconSession, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endLocked(s, err)
	if r.sessions[s.key] != s {
		return
	}
	delete(r.sessions, s.key)
	if r.sessions[reconKey{s.key.peer, !s.key.asks}] == nil {
		r.tracker.Gone(peerscore.PeerID(s.key.peer))
	}
	call(r.cfg.Hooks.ReconSessions, len(r.sessions))
	r.poke()
}

// endLocked stops a session, which is forgotten when its stream is done.
func (r *reconciler) endLocked(s *reconSession, err error) {
	if s.over {
		return
	}
	s.over = true
	s.machine.End()
	s.cancel(err)
}

func (r *reconciler) step(s *reconSession, ev recon.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stepLocked(s, ev)
	r.poke()
}

// stepLocked feeds one event to a session and does what it wants done.
func (r *reconciler) stepLocked(s *reconSession, ev recon.Event) {
	now := time.Now()
	r.drain(now)
	if s.over {
		return
	}
	for _, a := range s.machine.Step(now, ev, nil) {
		switch a := a.(type) {
		case recon.Send:
			select {
			case s.out <- recon.Encode(nil, a.Frame):
			default:
				r.endLocked(s, errReconUnread)
			}
		case recon.RunScan:
			r.scan(s, a.Scan)
		case recon.Learned:
			r.learned(now, s, a.IDs)
		case recon.Listed:
			r.learned(now, s, a.IDs)
		case recon.Compared:
			r.compared(now, s, a)
		case recon.Close:
			r.endLocked(s, a.Err)
		}
	}
}

// reconScans is how many looks at the whole set are taken at a time.
const reconScans = 2

// scan has a look taken at the set as it is now, elsewhere, unless the session ends before its
// turn comes.
func (r *reconciler) scan(s *reconSession, scan *recon.Scan) {
	ids, agreed := r.known.set.version(), slices.Collect(maps.Keys(s.agreed))
	r.crew.spawn(func() {
		select {
		case r.scans <- struct{}{}:
		case <-s.done:
			return
		}
		scan.Run(func(yield func(wire.TxID) bool) {
			for id := range ids {
				if !yield(id) {
					return
				}
			}
			slices.Values(agreed)(yield)
		})
		<-r.scans
		r.step(s, recon.Scanned{Scan: scan})
	})
}

// compared takes note of what differed.
func (r *reconciler) compared(now time.Time, s *reconSession, c recon.Compared) {
	call3(r.cfg.Hooks.ReconCompared, peerscore.PeerID(s.key.peer), c.Theirs, c.Ours)
	s.exchanges++
	if p, ok := r.pauses[s.key.peer]; ok && s.exchanges > 1 { // the first may yet come to a bad end
		p.pause, p.doubts = 0, 0
		r.pauses[s.key.peer] = p
	}
}

// came is told of all transactions that are judged.
func (r *reconciler) came(id wire.TxID, from peer.ID, accepted bool) {
	r.hidden.judged(time.Now(), id, r.links.has(from), accepted)
}

// watch says so when the mesh begins to hide something, or no longer does.
func (r *reconciler) watch(now time.Time) {
	links := r.hidden.look(now)
	if links == r.oneSided {
		return
	}
	if r.oneSided == 0 {
		r.log.Warn("peers outside our mesh keep giving transactions that our mesh does not bring; are we surrounded?", "links", links)
	}
	r.oneSided = links
	call(r.cfg.Hooks.ReconOneSided, links)
}

func (r *reconciler) oneSidedLinks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.oneSided
}
