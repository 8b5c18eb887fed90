package overlay

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/validation"
)

// A peer that was asked for a part of a block has the road there and back twice, and what
// its answer takes on a line of 8 Mbit/s, before the next one is asked too.
const (
	askAnotherAfter = 10 * time.Millisecond  // what any machine may need
	askAnotherRTT   = 200 * time.Millisecond // for the roads, at most: a peer that answers hello slowly gains no time by it
	askedBytesPerMS = 1000
)

// answers asks peers for the same thing, of about so many bytes, and gives what they
// answer. One is asked after the other: the next when one fails, or lets us wait. Whoever
// passes on a header first need not have the block, or want to give it, and two that wait
// for each other would wait until one gives up; so a block never waits for one peer alone.
// What goes wrong is judged here. When the caller has enough, open requests are abandoned,
// which blames nobody.
func answers[T any](ctx context.Context, b *blockRoad, peers []member, size int,
	ask func(context.Context, peer.ID) (T, error),
) iter.Seq2[peer.ID, T] {
	return func(yield func(peer.ID, T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type answer struct {
			from peer.ID
			got  T
			err  error
		}
		came := make(chan answer, len(peers)) // nobody waits for a caller who is gone
		open := 0
		var another <-chan time.Time // nil: at once, if anybody is left
		for open > 0 || len(peers) > 0 {
			if another == nil && len(peers) > 0 {
				p := peers[0]
				if peers = peers[1:]; !b.crew.spawn(func() {
					got, err := guarded(ctx, p.id, ask)
					came <- answer{p.id, got, err}
				}) {
					return
				}
				open++
				another = time.After(askAnotherAfter + min(2*p.rtt, askAnotherRTT) + time.Duration(size/askedBytesPerMS)*time.Millisecond)
			}
			select {
			case a := <-came:
				open--
				another = nil
				switch {
				case a.err == nil:
					if !yield(a.from, a.got) {
						return
					}
				case ctx.Err() == nil:
					b.court.judge(a.from, a.err)
				}
			case <-another:
				another = nil
			case <-ctx.Done():
				return
			}
		}
	}
}

// guarded makes a panic of ours an error, which proves nothing.
func guarded[T any](ctx context.Context, p peer.ID, ask func(context.Context, peer.ID) (T, error)) (got T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic while asking for a block: %v", validation.Unavailable, r)
		}
	}()
	return ask(ctx, p)
}
