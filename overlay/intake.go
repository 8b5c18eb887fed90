package overlay

import (
	"context"
	"sync"
	"time"
)

// intakeStill is how long nothing moves before what is counted as under way is taken for
// dropped without a word, as the messages of a graylisted peer are.
const intakeStill = 100 * time.Millisecond

// intake holds the readers of gossip streams back while as many messages are being judged
// as the validation queue should hold. Without it a burst overflows the queue, and a
// message that is dropped there is lost: mesh peers do not announce what they have sent.
type intake struct {
	limit int // constant

	mu       sync.Mutex // guards what follows
	underWay int
	moved    time.Time
	room     chan struct{} // closed and replaced when underWay falls below limit
}

func newIntake(limit int) *intake { return &intake{limit: limit, room: make(chan struct{})} }

// begin counts messages that pubsub took from a stream.
func (i *intake) begin(messages int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.underWay += messages
	i.moved = time.Now()
}

// end counts one that was judged, or found to be a duplicate.
func (i *intake) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.moved = time.Now()
	if i.underWay == 0 {
		return
	}
	if i.underWay--; i.underWay == i.limit-1 {
		i.open()
	}
}

func (i *intake) open() {
	close(i.room)
	i.room = make(chan struct{})
}

// wait returns when there is room, or with the error of ctx.
func (i *intake) wait(ctx context.Context) error {
	still := time.NewTimer(intakeStill)
	defer still.Stop()
	for {
		i.mu.Lock()
		if i.underWay >= i.limit && time.Since(i.moved) > intakeStill {
			i.underWay = 0
			i.open()
		}
		full, room := i.underWay >= i.limit, i.room
		i.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-room:
		case <-still.C:
			still.Reset(intakeStill)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
