package overlay

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R187: frames of a peer that is no link have the links looked at now and then, and not each.
func TestFramesOfStrangersAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := new(resettingHost)
		r := newRoster(DefaultLimits(), h.Network(), time.Now, newLinks(), newLinks())
		join := func(id peer.ID, services uint64) *member {
			m := &member{id: id, standing: greeted, hello: &wire.Hello{Services: services}, budget: newBudget(DefaultLimits())}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.members[id] = m
			return m
		}
		join("link", ServiceFrames)
		stranger := join("stranger", 0)
		c := &compactor{
			ctx: ctx, host: h, roster: r, cfg: Config{Limits: DefaultLimits()}, log: slog.New(slog.DiscardHandler), mesh: newLinks(),
			holders: newHolders(time.Now), events: make(chan compactEvent), links: map[peer.ID]*compactLink{}, debts: newDebtBook(),
		}
		require.NoError(t, c.begin())
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.run(ctx)
		}()
		began, raw := time.Now(), (&compact.Have{Block: wire.BlockID{1}}).AppendTo(nil)
		for range 5_000 {
			require.NoError(t, c.receive(ctx, stranger, raw))
		}
		synctest.Wait()
		looks := int(time.Since(began)/seekLinkEvery) + 1
		samples := int(time.Since(began)/flightEvery) + 1
		require.Less(t, looks+samples, 1_000)
		require.LessOrEqual(t, h.asked, looks+samples, "in %v", time.Since(began))
		require.NotZero(t, h.asked)

		join("newcomer", ServiceFrames)
		time.Sleep(seekLinkEvery)
		require.NoError(t, c.receive(ctx, r.get("newcomer"), raw))
		cancel()
		<-over
		require.Contains(t, c.links, peer.ID("newcomer"))
	})
}
