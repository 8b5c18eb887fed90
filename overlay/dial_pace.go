package overlay

import (
	"context"
	"sync"
	"time"
)

const (
	// dialsAtOnce is how many bootstrap peers are dialled at a time. All at once would
	// bring up every link before the heartbeat that first grafts, so that the mesh is
	// chosen without regard to distance; docs/figures/yardstick.md has what the pace
	// does to latency.
	dialsAtOnce = 4
	// turnLength is how long a dial may keep the next one waiting. A handshake over the
	// longest path on earth needs less; a peer that is gone must not hold up those that
	// are there.
	turnLength = time.Second
)

// dialPace lets dialsAtOnce dials begin, and another with each that ends or drags on.
type dialPace chan struct{}

func newDialPace() dialPace { return make(dialPace, dialsAtOnce) }

// turn waits until a dial may begin. Whoever began it calls done when it ended.
func (p dialPace) turn(ctx context.Context) (done func(), err error) {
	select {
	case p <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := sync.OnceFunc(func() { <-p })
	timer := time.AfterFunc(turnLength, release)
	return func() { timer.Stop(); release() }, nil
}
