package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// memberQueue is how many frames may wait for a peer that reads slowly; what is beyond is
	// not sent, for all that matters is said again.
	memberQueue = 32
	// memberSettle is how long a peer is connected before a link to it begins, so that a
	// connection that only tries an address costs nothing.
	memberSettle = time.Second
	// memberPauseMin and memberPauseMax bound the pause after a link that failed; each is
	// twice the last.
	memberPauseMin = time.Second
	memberPauseMax = time.Minute
	// memberFarewell is how long the end of Run waits for farewells to be read.
	memberFarewell = 300 * time.Millisecond
	// memberMargin is what the answering side grants a link beyond its age.
	memberMargin = time.Minute
)

var (
	// errMemberAge ends a link that had its time; another follows.
	errMemberAge = errors.New("overlay: the link is old")
	// errMemberAnew ends a link whose peer has begun another.
	errMemberAnew = errors.New("overlay: the link begins anew")
	// errMemberDropped ends a link because we close the connection.
	errMemberDropped = errors.New("overlay: we close the connection")
)

// memberLink is one stream that speaks member/1, in both directions.
type memberLink struct {
	x      *exchange // constant
	out    chan []byte
	cancel context.CancelCauseFunc
}

// memberPause says when a link to a peer is tried next.
type memberPause struct {
	since time.Time // of its connection: with a new one it begins anew
	next  time.Time
	pause time.Duration
	busy  bool // it is being tried, or there is one
}

// lookAfterLinks opens links to the peers that have none. Of two peers the one with the lower
// id does that.
func (m *members) lookAfterLinks(ctx context.Context, now time.Time) {
	peers := m.roster.heads()
	since := make(map[peer.ID]time.Time, len(peers))
	for _, p := range peers {
		since[p.id] = p.since
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, s := range m.pauses {
		if !s.busy && !s.since.Equal(since[p]) {
			delete(m.pauses, p)
		}
	}
	for _, p := range peers {
		if m.host.ID() > p.id {
			continue
		}
		s, ok := m.pauses[p.id]
		if !ok {
			s = memberPause{since: p.since, next: now.Add(memberSettle)}
		}
		if !s.busy && !now.Before(s.next) && m.speaks(p.id) {
			s.busy = m.crew.spawn(func() { m.dial(ctx, p.id) })
		}
		m.pauses[p.id] = s
	}
}

// speaks says whether a peer has told us that it knows the protocol.
func (m *members) speaks(p peer.ID) bool {
	got, err := m.host.Peerstore().SupportsProtocols(p, MemberProtocol(m.id))
	return err == nil && len(got) > 0
}

// dial opens a link and keeps it up. It outlives ctx by the farewell.
func (m *members) dial(ctx context.Context, p peer.ID) {
	began := time.Now()
	err := m.open(context.WithoutCancel(ctx), p)
	m.log.Debug("a member link ended", "peer", p, "err", err)
	m.court.judge(p, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.pauses[p]
	s.busy = false
	if time.Since(began) > memberPauseMax {
		s.pause = 0 // it held
	}
	s.pause = min(max(memberPauseMin, 2*s.pause), memberPauseMax)
	s.next = time.Now().Add(s.pause)
	m.pauses[p] = s
}

func (m *members) open(ctx context.Context, p peer.ID) error {
	age := m.cfg.Limits.MemberAge
	x, done, err := m.desk.ask(ctx, p, MemberProtocol(m.id), age+memberMargin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, age, errMemberAge)
	defer cancel()
	err = m.talk(ctx, x)
	done(err)
	return err
}

// answer is the side of a link that the peer opened. It outlives ctx by the farewell.
func (m *members) answer(ctx context.Context, x *exchange) error {
	return m.talk(context.WithoutCancel(ctx), x)
}

// talk carries frames both ways until the stream ends, and returns why it did.
func (m *members) talk(ctx context.Context, x *exchange) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = x.Reset() })()
	l := &memberLink{x: x, out: make(chan []byte, memberQueue), cancel: cancel}
	if !m.begin(ctx, l) {
		return errBusy
	}
	defer m.work.Done()
	err := m.listen(ctx, l)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	m.end(l, err)
	return err
}

// begin takes a link in, in the place of one that its peer had before, and starts its writer.
func (m *members) begin(ctx context.Context, l *memberLink) bool {
	p := l.x.peer()
	m.mu.Lock()
	if m.left {
		m.mu.Unlock()
		return false
	}
	var news []swim.Learned
	if old := m.links[p]; old != nil {
		old.cancel(errMemberAnew)
		news = m.stepLocked(swim.Gone{Peer: peerscore.PeerID(p)})
	}
	m.links[p] = l
	m.work.Add(1) // for its reader
	m.work.Go(func() {
		if err := m.write(ctx, l); err != nil {
			l.cancel(err)
		}
	})
	news = append(news, m.stepLocked(swim.Connected{Peer: peerscore.PeerID(p)})...)
	m.mu.Unlock()
	m.tell(news)
	return true
}

// end forgets a link. What we did not end ourselves is a reason to ask others for the peer.
func (m *members) end(l *memberLink, why error) {
	p := l.x.peer()
	lost := !errors.Is(why, errMemberAge) && !errors.Is(why, errMemberDropped)
	m.mu.Lock()
	var news []swim.Learned
	if m.links[p] == l {
		delete(m.links, p)
		news = m.stepLocked(swim.Gone{Peer: peerscore.PeerID(p), Lost: lost})
	}
	m.mu.Unlock()
	m.tell(news)
}

// listen feeds the peer's frames to the machine until the stream ends.
func (m *members) listen(ctx context.Context, l *memberLink) error {
	limits := m.cfg.Limits
	for wait := limits.FirstFrame; ; wait = limits.MemberIdle {
		_ = l.x.SetReadDeadline(time.Now().Add(wait))
		if _, err := l.x.in.Peek(1); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return FrameSlow
			}
			return err
		}
		_ = l.x.SetReadDeadline(time.Now().Add(limits.FrameTime))
		raw, err := l.x.read(swim.MaxFrame)
		if err != nil {
			return err
		}
		m.received.Add(uint64(len(raw)))
		from := m.roster.get(l.x.peer())
		if from == nil {
			return errGone
		}
		// Beyond its budget a peer is read later.
		if err := from.budget.members.WaitN(ctx, memberCost(len(raw))); err != nil {
			return fmt.Errorf("overlay: member: %w", err)
		}
		m.step(swim.Received{From: peerscore.PeerID(l.x.peer()), Frame: raw})
	}
}

// memberCost is what a frame takes of its sender's budget: one, and one for each KiB.
func memberCost(size int) int { return 1 + size>>10 }

// write sends what the machine says, until the link ends or we leave.
func (m *members) write(ctx context.Context, l *memberLink) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case frame := <-l.out:
			if err := m.put(l, frame); err != nil {
				return err
			}
		case <-m.leaving:
			return m.finish(l)
		}
	}
}

// finish writes what waits, the farewell last.
func (m *members) finish(l *memberLink) error {
	for {
		select {
		case frame := <-l.out:
			if err := m.put(l, frame); err != nil {
				return err
			}
		default:
			return l.x.CloseWrite()
		}
	}
}

// put writes one frame, if the peer has a share of our uplink left.
func (m *members) put(l *memberLink, frame []byte) error {
	to := m.roster.get(l.x.peer())
	if to == nil {
		return errGone
	}
	if !to.budget.served.AllowN(time.Now(), len(frame)) {
		m.unsent.Add(1)
		return nil
	}
	_ = l.x.SetWriteDeadline(time.Now().Add(m.cfg.Limits.FrameTime))
	if err := l.x.write(frame); err != nil {
		return fmt.Errorf("overlay: member: %w", err)
	}
	m.sent.Add(uint64(len(frame)))
	return nil
}

// drop ends a link whose connection we are about to close: the peer is not lost. There may be
// no membership: m may be nil.
func (m *members) drop(p peer.ID) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.links[p]; l != nil {
		l.cancel(errMemberDropped)
	}
}

// leave says farewell on all links, and gives the peers a moment to end them: what was sent
// on a stream that is reset, or whose connection is closed, need not arrive. m may be nil.
func (m *members) leave() {
	if m == nil {
		return
	}
	m.mu.Lock()
	for _, a := range m.machine.Leave(nil) {
		if send, ok := a.(swim.Send); ok {
			m.sendLocked(send)
		}
	}
	m.left = true
	close(m.leaving)
	m.mu.Unlock()
	enough := time.AfterFunc(memberFarewell, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, l := range m.links {
			l.cancel(errMemberDropped)
		}
	})
	defer enough.Stop()
	m.work.Wait()
}
