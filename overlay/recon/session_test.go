package recon_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
)

// TestExchanges is the sizes of sets and differences that take different roads.
func TestExchanges(t *testing.T) {
	for _, c := range []struct{ shared, asks, answers int }{
		{0, 0, 0},
		{0, 1, 0},
		{0, 0, 1},
		{0, 0, 300},
		{0, 300, 0},
		{1000, 0, 0},
		{1000, 1, 0},
		{1000, 5, 5},
		{2000, 100, 50},
		{20000, 500, 500},
		{20000, 3000, 0},
		{20000, 0, 3000},
		{300, 5000, 5000},
		{0, 8000, 8000},
		{30000, 8000, 7000},
	} {
		t.Run(fmt.Sprintf("%d shared, %d and %d not", c.shared, c.asks, c.answers), func(t *testing.T) {
			p := newPair(t, recon.DefaultConfig(), 1)
			p.fill(rand.New(rand.NewPCG(1, 2)), c.shared, c.asks, c.answers)
			got := p.exchange()
			require.Equal(t, recon.Compared{Theirs: c.answers, Ours: c.asks}, got)
			require.Len(t, p.asks.learned, c.answers)
			require.Len(t, p.answers.learned, c.asks)
			t.Logf("%d frames and %d bytes to the responder, %d and %d back, %d of them needs and ids, %v",
				p.frames[0], p.sent[0], p.frames[1], p.sent[1], p.told[0]+p.told[1], p.now.Sub(epoch))
			p.repair()
			require.True(t, maps.Equal(p.asks.set, p.answers.set))
			require.Equal(t, recon.Compared{}, p.exchange())
			p.run(time.Minute, never)
			require.NoError(t, p.asks.closed)
			require.NoError(t, p.answers.closed)
		})
	}
}
