package overlay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// maxUnsent bounds what waits for a peer to read it: what it may be owed of a block.
	// Beyond, frames are lost, which the other side lives with.
	maxUnsent = 2 * wire.MaxBlock
	// linkOpen is for the opening of a stream, and linkPause how long none is opened after
	// one that failed.
	linkOpen  = 4 * time.Second
	linkPause = time.Second
)

// maxUnsentFor is how long a part waits at most: as long as its block is served, whose memory it
// holds. Later nobody counts upon it.
var maxUnsentFor = compact.DefaultConfig().Keep

// compactLink is what waits to be sent to one peer, and the goroutine that sends it on a
// stream of its own, which lives as long as the link. Nothing is opened before there is
// something to say.
type compactLink struct {
	peer   peer.ID // constant
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1

	// Owned by the compactor's run.
	flight flight
	in     bool // it is a link of the machine

	mu    sync.Mutex // guards what follows
	hurry []unsent   // what is short, and overtakes
	bulk  []unsent
	bytes int
	busy  bool // somebody writes
}

// unsent is a frame that waits since then.
type unsent struct {
	frame compact.Frame
	since time.Time
}

// put adds a frame, and says whether a writer has to be started.
func (l *compactLink) put(f compact.Frame) (start bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidyLocked()
	size := f.Size()
	if l.bytes+size > maxUnsent {
		return false
	}
	l.bytes += size
	if isBulk(f) {
		l.bulk = append(l.bulk, unsent{f, time.Now()})
	} else {
		l.hurry = append(l.hurry, unsent{f, time.Now()})
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	start, l.busy = !l.busy, true
	return start
}

// tidyLocked drops what has waited for too long.
func (l *compactLink) tidyLocked() {
	for _, queue := range []*[]unsent{&l.hurry, &l.bulk} {
		for len(*queue) > 0 && time.Since((*queue)[0].since) > maxUnsentFor {
			l.shiftLocked(queue)
		}
	}
}

func (l *compactLink) shiftLocked(queue *[]unsent) compact.Frame {
	f := (*queue)[0].frame
	(*queue)[0] = unsent{} // nor held by the slice
	*queue = (*queue)[1:]
	l.bytes -= f.Size()
	return f
}

// isBulk says whether a frame carries a part of a body.
func isBulk(f compact.Frame) bool {
	switch f.(type) {
	case *compact.Fill, *compact.Chunk:
		return true
	}
	return false
}

// waiting says what there is to send.
func (l *compactLink) waiting() (hurry, bulk bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.hurry) > 0, len(l.bulk) > 0
}

func (l *compactLink) take() (f compact.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tidyLocked()
	switch {
	case len(l.hurry) > 0:
		return l.shiftLocked(&l.hurry)
	case len(l.bulk) > 0:
		return l.shiftLocked(&l.bulk)
	}
	return nil
}

// lose drops what waits: the stream that it was for is gone.
func (l *compactLink) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurry, l.bulk, l.bytes = nil, nil, 0
}

// next waits for a frame, and for its turn on the uplink. It is nil when ctx has ended, and only then.
func (c *compactor) next(ctx context.Context, l *compactLink) compact.Frame {
	for ctx.Err() == nil {
		hurry, bulk := l.waiting()
		if !hurry && !bulk {
			select {
			case <-l.wake:
			case <-ctx.Done():
			}
			continue
		}
		if !hurry {
			c.lane.body(ctx)
		}
		if f := l.take(); f != nil { // it may have waited for too long
			return f
		}
	}
	return nil
}

// write sends what is put until ctx ends.
func (c *compactor) write(ctx context.Context, l *compactLink) {
	var stream *partsStream
	for {
		f := c.next(ctx, l)
		if f == nil {
			return
		}
		var err error
		if stream == nil {
			stream, err = c.openStream(ctx, l.peer)
		}
		if err == nil {
			err = c.writeFrame(ctx, stream, l.peer, f)
		}
		if err == nil {
			continue
		}
		c.log.Debug("sending parts of blocks failed", "peer", l.peer, "err", err)
		if stream != nil {
			stream.giveUp()
			stream = nil
		}
		l.lose()
		select {
		case <-time.After(linkPause):
		case <-ctx.Done():
			return
		}
	}
}

// partsStream is a stream of parts to a peer, which is reset when its link ends.
type partsStream struct {
	network.Stream
	release func() bool // of what waits for the end of the link
}

// giveUp ends a stream before its link does: a link may outlive many.
func (s *partsStream) giveUp() {
	s.release()
	_ = s.Reset()
}

func (c *compactor) openStream(ctx context.Context, p peer.ID) (*partsStream, error) {
	within, cancel := context.WithTimeout(ctx, linkOpen)
	defer cancel()
	s, err := c.host.NewStream(network.WithNoDial(within, "only connected peers get parts of blocks"), p, c.protocol)
	if err != nil {
		return nil, fmt.Errorf("overlay: open %s: %w", c.protocol, err)
	}
	// The stream knows no context: its end must wake who writes.
	return &partsStream{s, context.AfterFunc(ctx, func() { _ = s.Reset() })}, nil
}

func (c *compactor) writeFrame(ctx context.Context, s network.Stream, p peer.ID, f compact.Frame) error {
	raw := f.AppendTo(make([]byte, 0, f.Size()))
	if isBulk(f) {
		if err := c.desk.spend(ctx, p, len(raw)); err != nil {
			return err
		}
	}
	_ = s.SetWriteDeadline(time.Now().Add(c.cfg.Limits.FrameTime))
	if err := writeFrame(s, raw); err != nil {
		return fmt.Errorf("overlay: send a part of block %s: %w", f.Of(), err)
	}
	call2(c.cfg.Hooks.CompactBytes, len(raw), 0)
	return nil
}
