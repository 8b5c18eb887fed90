package overlay

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// sentryTick is how often questions are judged.
	sentryTick = 500 * time.Millisecond

	// sentryRecent bounds the messages of which it is known who gave them: at 500 a
	// second, those of the last eight seconds.
	sentryRecent = 4096
	// sentryGivers bounds the peers that are known to have given one.
	sentryGivers = 32

	// sentryLargest is the size from which on nothing is held back: of such messages a
	// peer is told that we have them (IDONTWANT), and owes no copy.
	sentryLargest = 1024
)

// sentry asks the peers of the transaction mesh what only work answers, as
// peerscore.Lookout describes: it holds back some copies, and follows who gives what.
type sentry struct {
	roster *roster // constant
	crew   *crew
	log    *slog.Logger
	seed   maphash.Seed

	mu      sync.Mutex // guards what follows
	lookout *peerscore.Lookout
	recent  map[uint64]*given
	order   []uint64 // keys of recent, oldest first
	streams map[peer.ID]*trackedStream
}

// given is a message that peers gave us.
type given struct{ by []peer.ID }

func newSentry(c peerscore.LookoutConfig, r *roster, w *crew, log *slog.Logger) *sentry {
	return &sentry{
		roster: r, crew: w, log: log, seed: maphash.MakeSeed(),
		lookout: peerscore.NewLookout(c, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))),
		recent:  make(map[uint64]*given), streams: make(map[peer.ID]*trackedStream),
	}
}

func (s *sentry) run(ctx context.Context) {
	every(ctx, sentryTick, func() {
		s.mu.Lock()
		convicted := s.lookout.Tick(time.Now())
		s.mu.Unlock()
		for _, p := range convicted {
			s.convicted(peer.ID(p))
		}
	})
}

// score is the part of a peer's score that silence takes. GossipSub asks under a lock of
// its own, so this is short and calls nobody.
func (s *sentry) score(p peer.ID) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookout.Score(time.Now(), peerscore.PeerID(p))
}

func (s *sentry) meshed(p peer.ID, in bool) {
	met := s.roster.snapshot(p).opened
	s.mu.Lock()
	defer s.mu.Unlock()
	if in {
		s.lookout.Joined(time.Now(), peerscore.PeerID(p), met)
	} else if s.lookout.Left(time.Now(), peerscore.PeerID(p)) {
		s.convicted(p)
	}
}

func (s *sentry) convicted(p peer.ID) {
	s.log.Info("a peer of our mesh does not pass on what it should", "peer", p)
}

// first notes a message that is new to us.
func (s *sentry) first(from peer.ID, raw []byte) {
	key := maphash.Bytes(s.seed, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookout.First(time.Now(), peerscore.PeerID(from))
	if s.recent[key] != nil {
		return
	}
	s.recent[key] = &given{by: []peer.ID{from}}
	s.order = append(s.order, key)
	if len(s.order) > sentryRecent {
		delete(s.recent, s.order[0])
		s.order = s.order[1:]
	}
}

// copied notes a further copy, and sends ours if it was held back for this one.
func (s *sentry) copied(from peer.ID, raw []byte) {
	key := maphash.Bytes(s.seed, raw)
	s.mu.Lock()
	if g := s.recent[key]; g != nil && len(g.by) < sentryGivers && !slices.Contains(g.by, from) {
		g.by = append(g.by, from)
	}
	release := s.lookout.Heard(time.Now(), peerscore.PeerID(from), key)
	stream := s.streams[from]
	s.mu.Unlock()
	if release && stream != nil {
		s.crew.spawn(func() { stream.release(key) })
	}
}

// giving is how many peers of the mesh give us something.
func (s *sentry) giving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookout.Live(time.Now())
}

// givers are the peers that gave us a message of late.
func (s *sentry) givers(raw []byte) []peer.ID {
	key := maphash.Bytes(s.seed, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.recent[key]; g != nil {
		return slices.Clone(g.by)
	}
	return nil
}

// streamsTo are the streams on which peers are sent messages, of those that have one.
func (s *sentry) streamsTo(peers []peer.ID) (list []*trackedStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range peers {
		if t := s.streams[p]; t != nil {
			list = append(list, t)
		}
	}
	return list
}

// opened and closed follow the streams on which messages are sent.
func (s *sentry) opened(t *trackedStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[t.to] = t
}

func (s *sentry) closed(t *trackedStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[t.to] == t {
		delete(s.streams, t.to)
	}
}

// hold decides whether a message is held back from a peer, and for how long.
func (s *sentry) hold(to peer.ID, raw []byte) (key uint64, pause time.Duration, ok bool) {
	if len(raw) >= sentryLargest {
		return 0, 0, false
	}
	key = maphash.Bytes(s.seed, raw)
	m := s.roster.snapshot(to)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.recent[key]
	if g == nil || len(g.by) == sentryGivers || slices.Contains(g.by, to) {
		return 0, 0, false // our own, old, or the peer has it
	}
	until, ok := s.lookout.Hold(now, peerscore.PeerID(to), key, m.trip())
	return key, until.Sub(now), ok
}

// heldBack is an RPC with one message that is sent later.
type heldBack struct {
	key   uint64
	frame []byte
	pause time.Duration
}

// split takes out of an encoded RPC with its length prefix the messages that are held
// back from a peer. The rest is b itself where there are none, and empty where nothing is
// left.
func (s *sentry) split(to peer.ID, b []byte) (rest []byte, held []heldBack) {
	_, n := binary.Uvarint(b)
	if n <= 0 {
		return b, nil
	}
	var body []byte // of the rest, once something is held back
	at := n
	for at < len(b) {
		num, typ, size := protowire.ConsumeField(b[at:])
		if size < 0 {
			return b, nil // pubsub encoded it, so this does not happen
		}
		field := b[at : at+size]
		at += size
		if raw, ok := messageOf(num, typ, field); ok {
			if key, pause, ok := s.hold(to, raw); ok {
				if held == nil {
					body = append(make([]byte, 0, len(b)), b[n:at-size]...)
				}
				held = append(held, heldBack{key, frameOf(field), pause})
				continue
			}
		}
		if held != nil {
			body = append(body, field...)
		}
	}
	switch {
	case held == nil:
		return b, nil
	case len(body) == 0:
		return nil, held
	default:
		return frameOf(body), held
	}
}

// messageOf is the payload of a field of an RPC, if that is a message.
func messageOf(num protowire.Number, typ protowire.Type, field []byte) (raw []byte, ok bool) {
	if num != rpcPublish || typ != protowire.BytesType {
		return nil, false
	}
	_, _, tag := protowire.ConsumeTag(field)
	value, n := protowire.ConsumeBytes(field[tag:])
	if n < 0 {
		return nil, false
	}
	err := fields(value, func(num protowire.Number, _ protowire.Type, value []byte) error {
		if num == messageData {
			raw = value
		}
		return nil
	})
	return raw, err == nil && len(raw) > 0
}

func frameOf(body []byte) []byte {
	frame := binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen64), uint64(len(body)))
	return append(frame, body...)
}
