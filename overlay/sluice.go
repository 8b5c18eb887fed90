package overlay

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// sluiceStill is how long nothing of a peer moves before what is counted as under way
	// is taken for dropped without a word, as the messages of a graylisted peer are.
	sluiceStill = 250 * time.Millisecond
	// sluicePatience is how long the stream of a peer whose line is full is only read more
	// slowly, so that no burst loses anything; then the least valuable is shed, for what pays
	// more must not wait behind it for longer. Where all pays alike nothing is won by
	// shedding, and the peer is read as slowly as it takes.
	sluicePatience = time.Second
)

// sluice stands between the streams and one pubsub instance. It lets as many messages
// through as the validation queue should hold (what overflows that is lost), and in turns:
// the flood of one peer makes others wait for its share and no longer. What is shed here
// was never marked as seen, so a later copy is taken, whoever brings it.
type sluice struct {
	limit   int // constant: messages under way, of all peers
	perPeer int // of one peer, so that what one holds up leaves room for others
	shed    func(from peer.ID, n int)

	mu       sync.Mutex // guards what follows
	queue    *fairQueue
	underWay int
	berths   map[peer.ID]*berth
}

// berth is what the sluice knows of one peer with a stream.
type berth struct {
	streams  int
	through  []parcel // let through, not yet fetched by the stream
	underWay int
	moved    time.Time     // when last one of its messages came or went
	wake     chan struct{} // capacity 1: something was let through
	room     chan struct{} // closed when its line gets shorter; nil while nobody waits for that
	crowded  time.Time     // since when its line is full; zero if it is not
	mixed    time.Time     // when last messages of different value met in the full line
}

func newSluice(limit int, b fairBounds, shed func(peer.ID, int)) *sluice {
	return &sluice{
		limit: limit, perPeer: max(1, limit/2), shed: shed,
		queue: newFairQueue(b), berths: make(map[peer.ID]*berth),
	}
}

// enter makes room for a stream of p. The caller calls leave once.
func (s *sluice) enter(p peer.ID) *berth {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.berths[p]
	if b == nil {
		b = &berth{wake: make(chan struct{}, 1)}
		s.berths[p] = b
	}
	b.streams++
	return b
}

// leave drops what waits of p when its last stream ends: nobody has seen it, so that others
// may bring it.
func (s *sluice) leave(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.berths[p]
	if b.streams--; b.streams > 0 {
		return
	}
	s.queue.forget(p)
	s.underWay -= b.underWay
	delete(s.berths, p)
	b.shorter()
	s.openLocked()
}

// put queues one message of p. While there is no room for it, it waits; once that has
// lasted for the patience, the least valuable is shed instead, if some are worth less than
// others.
func (s *sluice) put(ctx context.Context, p peer.ID, m parcel) error {
	for {
		s.mu.Lock()
		b := s.berths[p]
		if b == nil {
			s.mu.Unlock()
			return errGone
		}
		if s.takesLocked(b, p, m, time.Now()) {
			gone := s.queue.put(p, m)
			s.openLocked()
			s.mu.Unlock()
			s.report(gone)
			return nil
		}
		if b.room == nil {
			b.room = make(chan struct{})
		}
		room := b.room
		s.mu.Unlock()
		if err := s.await(ctx, room); err != nil {
			return err
		}
	}
}

// takesLocked says whether a message of p joins its line now.
func (s *sluice) takesLocked(b *berth, p peer.ID, m parcel, now time.Time) bool {
	if !s.queue.full(p, len(m.raw)) {
		if s.queue.waits(p) <= s.queue.bounds.peerMessages/2 {
			b.crowded = time.Time{}
		}
		return true
	}
	if b.crowded.IsZero() {
		b.crowded = now
	}
	if s.queue.differs(p, m.class) {
		b.mixed = now
	}
	return now.Sub(b.crowded) >= sluicePatience && now.Sub(b.mixed) < sluicePatience
}

func (s *sluice) await(ctx context.Context, room <-chan struct{}) error {
	timer := time.NewTimer(sluiceStill)
	defer timer.Stop()
	select {
	case <-room:
	case <-timer.C:
		s.stir()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (s *sluice) report(gone []lost) {
	for _, l := range gone {
		s.shed(l.from, 1)
	}
}

// fetch returns what was let through of p since the last call, no more bytes than fit into
// a frame of that size; more says whether some is left.
func (s *sluice) fetch(p peer.ID, frame int) (out []parcel, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.berths[p]
	if b == nil {
		return nil, false
	}
	size := 0
	for _, m := range b.through {
		size += len(m.raw) + parcelFrame
		if len(out) > 0 && size > frame {
			break
		}
		out = append(out, m)
	}
	b.through = b.through[len(out):]
	return out, len(b.through) > 0
}

// parcelFrame is what a message takes in a frame beside its bytes, at most.
const parcelFrame = 8

// idle says whether nothing of p waits here.
func (s *sluice) idle(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.berths[p]
	return b == nil || len(b.through) == 0 && s.queue.waits(p) == 0
}

// end counts a message of p that was judged, or found to be a duplicate.
func (s *sluice) end(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.berths[p]
	if b == nil {
		return
	}
	b.moved = time.Now()
	if b.underWay == 0 {
		return // late, and uncounted by now
	}
	b.underWay--
	s.underWay--
	s.openLocked()
}

// run stirs from time to time until ctx ends.
func (s *sluice) run(ctx context.Context) { every(ctx, sluiceStill, s.stir) }

// stir takes for dropped what has not moved for too long since its stream fetched it.
func (s *sluice) stir() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay == 0 {
		return
	}
	now := time.Now()
	for _, b := range s.berths {
		if gone := b.underWay - len(b.through); gone > 0 && now.Sub(b.moved) > sluiceStill {
			s.underWay -= gone
			b.underWay -= gone
		}
	}
	s.openLocked()
}

// openLocked lets through what there is room for.
func (s *sluice) openLocked() {
	for s.underWay < s.limit {
		p, m, ok := s.queue.next(func(p peer.ID) bool { return s.berths[p].underWay < s.perPeer })
		if !ok {
			return
		}
		b := s.berths[p]
		b.through = append(b.through, m)
		b.underWay++
		b.moved = time.Now()
		s.underWay++
		b.wakeUp()
		b.shorter()
	}
}

// shorter tells who waits for room in the line.
func (b *berth) shorter() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// wakeUp tells the stream that something was let through.
func (b *berth) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
