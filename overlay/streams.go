package overlay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// exchange is one stream of a request protocol, with its total deadline set.
type exchange struct {
	network.Stream
	in      *bufio.Reader
	end     time.Time // of the whole exchange
	hurried bool      // the first frame has less time than the whole
}

func newExchange(s network.Stream, within time.Duration) (*exchange, error) {
	end := time.Now().Add(within)
	if err := s.SetDeadline(end); err != nil {
		return nil, fmt.Errorf("overlay: set deadline: %w", err)
	}
	return &exchange{Stream: s, in: bufio.NewReader(s), end: end}, nil
}

// read reads one frame. A deadline that passes is FrameSlow.
func (x *exchange) read(limit int) ([]byte, error) {
	b, err := readFrame(x.in, limit)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, FrameSlow
	}
	if err == nil && x.hurried {
		x.hurried = false
		err = x.SetReadDeadline(x.end)
	}
	return b, err
}

// hurryFirst has the first frame be there in time.
func (x *exchange) hurryFirst(within time.Duration) error {
	x.hurried = true
	return x.SetReadDeadline(time.Now().Add(within))
}

func (x *exchange) write(frame []byte) error { return writeFrame(x.Stream, frame) }

// refuse ends the exchange and tells the peer that we are busy.
func (x *exchange) refuse() { _ = x.ResetWithError(network.StreamResourceLimitExceeded) }

// peer is who is at the other end.
func (x *exchange) peer() peer.ID { return x.Conn().RemotePeer() }

// service answers one request protocol.
type service struct {
	id      protocol.ID
	within  time.Duration // for one request, writing included
	total   int           // requests at once
	perPeer int           // of one peer
	asking  time.Duration // for the request to come, after which the place is another's; 0: as long as within
	strange bool          // peers that are not greeted may ask (hello only)
	handle  func(ctx context.Context, x *exchange) error
	places  *seats // made by open: total of them
}

// desk runs services: it bounds their concurrency, keeps their streams, and ends them
// with Run.
type desk struct {
	host   host.Host // constant
	roster *roster
	judge  func(p peer.ID, err error)
	lane   *lane
	meet   func(p peer.ID) *member // nil if the peer is gone; set before open
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	closed  bool
	ids     []protocol.ID
	streams map[network.Stream]struct{}
	work    sync.WaitGroup // Add only with mu held and closed false
}

func newDesk(h host.Host, r *roster, l *lane, judge func(peer.ID, error), log *slog.Logger) *desk {
	return &desk{host: h, roster: r, lane: l, judge: judge, log: log, streams: make(map[network.Stream]struct{})}
}

// open registers a service until shut.
func (d *desk) open(ctx context.Context, s service) {
	s.places = newSeats(s.total, d.roster.ours)
	d.mu.Lock()
	d.ids = append(d.ids, s.id)
	d.mu.Unlock()
	d.host.SetStreamHandler(s.id, func(stream network.Stream) {
		if !d.track(stream) {
			_ = stream.ResetWithError(network.StreamShutdown)
			return
		}
		defer d.forget(stream)
		err := d.serve(ctx, s, stream)
		if err == nil {
			_ = stream.Close()
			return
		}
		p := stream.Conn().RemotePeer()
		d.log.Debug("request failed", "protocol", s.id, "peer", p, "err", err)
		d.judge(p, err)
		if errors.Is(err, errBusy) {
			_ = stream.ResetWithError(network.StreamResourceLimitExceeded)
			return
		}
		_ = stream.Reset()
	})
}

func (d *desk) serve(ctx context.Context, s service, stream network.Stream) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("overlay: panic while serving %s: %v", s.id, r) // ours: proves nothing
			d.log.Error("panic while serving a peer", "protocol", s.id, "panic", r)
		}
	}()
	x, err := newExchange(stream, s.within)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	m := d.meet(x.peer())
	if m == nil {
		return errGone
	}
	if !s.strange {
		if err := d.await(ctx, m); err != nil {
			return err
		}
	}
	// Places come last: who is not greeted holds none.
	if !m.budget.requests.Allow() {
		return TooManyRequests
	}
	release, ok := m.budget.acquire(s.id, s.perPeer)
	if !ok {
		return errBusy
	}
	defer release()
	leave, ok := s.places.take(x.peer(), func() {
		x.refuse() // first, for what ends with the context resets the stream as well
		cancel()
	})
	if !ok {
		return errBusy
	}
	defer leave()
	if s.asking > 0 {
		if err := x.hurryFirst(s.asking); err != nil {
			return fmt.Errorf("overlay: set deadline: %w", err)
		}
	}
	return s.handle(ctx, x)
}

// await waits until a peer is greeted. A few requests of each peer may wait so; more
// are turned away, and come from its budget, so that no crowd of them costs nothing.
func (d *desk) await(ctx context.Context, m *member) error {
	release, ok := m.budget.acquire(waitsForHello, d.roster.limits.WaitingRequests)
	if !ok {
		if !m.budget.requests.Allow() {
			return TooManyRequests
		}
		return errBusy
	}
	defer release()
	if err := d.roster.admit(ctx, m.id); err != nil {
		return err
	}
	if d.roster.standing(m.id) != greeted {
		return errGone // guests have the transaction topic
	}
	return nil
}

// waitsForHello counts, among what a peer is served, what is not served yet.
const waitsForHello = protocol.ID("")

// spend takes what an answer will weigh from the peer's budget, and waits while that is
// used up. A request has a deadline, so what would come after it is not waited for.
func (d *desk) spend(ctx context.Context, p peer.ID, size int) error {
	m := d.roster.get(p)
	if m == nil {
		return errGone
	}
	if err := m.budget.served.WaitN(ctx, size); err != nil {
		return fmt.Errorf("overlay: the peer's share of our uplink is used up: %w", err)
	}
	return nil
}

// errBusy says that the place for a request is taken, which blames nobody.
var errBusy = errors.New("overlay: busy")

func (d *desk) track(s network.Stream) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.streams[s] = struct{}{}
	d.work.Add(1)
	return true
}

func (d *desk) forget(s network.Stream) {
	d.mu.Lock()
	delete(d.streams, s)
	d.mu.Unlock()
	d.work.Done()
}

// shut takes the services away, resets what they serve and waits for it.
func (d *desk) shut() {
	d.mu.Lock()
	d.closed = true
	ids := d.ids
	for s := range d.streams {
		_ = s.ResetWithError(network.StreamShutdown)
	}
	d.mu.Unlock()
	for _, id := range ids {
		d.host.RemoveStreamHandler(id)
	}
	d.work.Wait()
}

// ask opens a stream for one request to a connected peer, at a pace that stays within
// the budget that peers have for us. done must be called once; it
// ends the stream.
func (d *desk) ask(ctx context.Context, p peer.ID, id protocol.ID, within time.Duration) (x *exchange, done func(error), err error) {
	m := d.meet(p)
	if m == nil {
		return nil, nil, errGone
	}
	if err := m.budget.asks.Wait(ctx); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	s, err := d.host.NewStream(network.WithNoDial(ctx, "only connected peers are asked"), p, id)
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("overlay: open %s: %w", id, err)
	}
	if x, err = newExchange(s, within); err != nil {
		cancel()
		_ = s.Reset()
		return nil, nil, err
	}
	// The stream knows no context: its end must wake a reader.
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	return x, func(err error) {
		stop()
		cancel()
		if err != nil && !errors.Is(err, io.EOF) {
			_ = s.Reset()
			return
		}
		_ = s.Close()
	}, nil
}
