package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// TestHealingIsTimed holds the figures against a healing that went as the test says: what
// lacks at the end of the partition, the first connection across, the last arrival.
func TestHealingIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := staged(t, time.Now())
		for i, p := range g.places {
			p.ID = peer.ID(rune('a' + i))
		}
		time.Sleep(time.Second)
		g.places[0].Observer.Made(Tx, ID{1}, 250)
		g.places[0].Observer.Made(Tx, ID{2}, 300)
		g.places[2].Observer.Made(Tx, ID{3}, 100)
		g.places[1].Observer.Valid(Tx, ID{1})
		g.joined("a", "c") // before there is anything to heal
		g.world.count()
		g.world.talk.LogSentMessageStream(100, "/grapevine/0123456789abcdef/fetch/1", "") // before the healing
		g.world.meters[0].bytes.Add(200)
		go g.heal(t.Context(), []int{0, 0, 1})
		synctest.Wait()
		g.world.meters[0].bytes.Add(700)
		g.world.talk.LogSentMessageStream(600, "/grapevine/0123456789abcdef/fetch/1", "")
		time.Sleep(time.Second)
		g.joined("a", "b") // of one part
		g.joined("a", "x") // not a seat
		time.Sleep(time.Second)
		g.joined("c", "b")
		for i, ids := range [][]ID{{{3}}, {{2}, {3}}, {{1}, {2}}} {
			for _, id := range ids {
				time.Sleep(100 * time.Millisecond)
				g.places[i].Observer.Valid(Tx, id)
			}
		}
		time.Sleep(time.Second)
		g.world.meters[0].bytes.Add(1_000_000) // nobody's business any more

		r := g.healing.report()
		require.EqualValues(t, 300+100+100+250+300, r.MissingBytes)
		require.EqualValues(t, 700, *r.WireBytes)
		require.Equal(t, []report.KindBytes{{Kind: "grapevine/fetch/1", Bytes: 600}, {Kind: "transport", Bytes: 100}}, r.Kinds)
		require.InDelta(t, 2, *r.CrossedS, 0.001)
		require.InDelta(t, 2.5, *r.EqualS, 2*healEvery.Seconds())
		require.InDelta(t, 0.5, *r.EqualAfterCrossingS, 2*healEvery.Seconds())
		require.InDelta(t, 700.0/1050, *r.WirePerMissing, 0.001)
	})
}

// TestHealingThatNeverEnds has no time, and so keeps no promise of one.
func TestHealingThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := staged(t, time.Now())
		require.Nil(t, g.healing.report())
		g.places[0].Observer.Made(Tx, ID{1}, 250)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		g.heal(ctx, []int{0, 0, 1})
		r := g.healing.report()
		require.EqualValues(t, 500, r.MissingBytes)
		require.Nil(t, r.EqualS)
		require.Nil(t, r.EqualAfterCrossingS)
		require.Nil(t, r.WirePerMissing)
	})
}
