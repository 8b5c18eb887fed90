package overlay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/quic-go/quic-go"
)

// pingPatience is how long a ping is waited for: far longer than any way there and back.
const pingPatience = 3 * time.Second

// lifelines tells peers that do not take what they are sent from lines that carry nothing.
// It is asked of peers in trouble only, again and again while they are.
type lifelines struct {
	host host.Host // constant
	crew *crew

	mu    sync.Mutex // guards what follows
	lines map[peer.ID]*lifeline
}

// lifeline is the line to one peer in trouble.
type lifeline struct {
	packets  uint64 // that had come in when last we looked
	answered bool   // a ping, since then
	asking   bool   // a ping is under way
	looks    int    // in a row, in which something had come in
}

func newLifelines(h host.Host, c *crew) *lifelines {
	return &lifelines{host: h, crew: c, lines: make(map[peer.ID]*lifeline)}
}

// look returns whose lines have carried something since the last look, and did so before
// that as well: what falls into the moment at which a line ends or comes back proves
// nothing. Others than those in trouble are forgotten.
func (l *lifelines) look(ctx context.Context, troubled []peer.ID) (steady map[peer.ID]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lines
	l.lines, steady = make(map[peer.ID]*lifeline, len(troubled)), make(map[peer.ID]bool)
	for _, p := range troubled {
		line, packets := was[p], received(l.host.Network(), p)
		switch {
		case line == nil:
			line = new(lifeline)
		case line.answered || packets > line.packets:
			line.looks++
		default:
			line.looks = 0
		}
		steady[p] = line.looks > 1
		line.packets, line.answered = packets, false
		l.lines[p] = line
		if !line.asking { // there may be nothing else to acknowledge
			line.asking = l.crew.spawn(func() { l.ask(ctx, p, line) })
		}
	}
	return steady
}

func (l *lifelines) ask(ctx context.Context, p peer.ID, line *lifeline) {
	answered := alive(ctx, l.host, p)
	l.mu.Lock()
	defer l.mu.Unlock()
	line.asking, line.answered = false, answered
}

// alive says whether something comes over the line to a peer now.
func alive(ctx context.Context, h host.Host, p peer.ID) bool {
	_, err := pinged(ctx, h, p)
	// A refusal has come over the line as well.
	return !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded)
}

// received is how many packets have come over a peer's connections, as far as they count them:
// those of QUIC, whose acknowledgements no peer can leave out.
func received(n network.Network, p peer.ID) (packets uint64) {
	for _, c := range n.ConnsToPeer(p) {
		var q *quic.Conn
		if c.As(&q) {
			packets += q.ConnectionStats().PacketsReceived
		}
	}
	return packets
}

// errOtherEcho says that a ping came back as something else than it was.
var errOtherEcho = errors.New("overlay: the echo of a ping is another")

// pinged sends one ping over a connection that there is, and returns how long its echo took: no
// less than the way there and back, for nobody can tell what to echo before it came.
func pinged(ctx context.Context, h host.Host, p peer.ID) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	s, err := h.NewStream(network.WithNoDial(ctx, "only lines that there are"), p, ping.ID)
	if err != nil {
		return 0, fmt.Errorf("overlay: open ping: %w", err)
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(pingPatience))
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	b, echo := make([]byte, ping.PingSize), make([]byte, ping.PingSize)
	_, _ = rand.Read(b) // never fails
	sent := time.Now()
	if _, err := s.Write(b); err != nil {
		return 0, fmt.Errorf("overlay: send ping: %w", err)
	}
	if _, err := io.ReadFull(s, echo); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return 0, fmt.Errorf("overlay: await ping: %w", err)
	}
	if !bytes.Equal(b, echo) {
		return 0, errOtherEcho
	}
	return time.Since(sent), nil
}
