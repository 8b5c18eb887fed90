package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

// pledging runs rounds of exchanges of one peer, each some seconds after the last. It is told
// many, and for each says whether the peer gives it.
func pledging(p *pledges, rounds, told int, gives func(n int) bool, excused func(wire.TxID) bool) (broke int) {
	now := time.Unix(1_700_000_000, 0)
	for round := range rounds {
		most, _ := p.standing("p")
		for n := range min(most, told) {
			if id := testID(round*told + n); gives(n) {
				p.gave(now, "p")
			} else {
				p.lapsed(now, "p", id, true)
			}
		}
		for range 5 {
			now = now.Add(lapseAfter)
			_, who := p.settle(now, excused)
			broke += len(who)
		}
	}
	return broke
}

func nothingExcused(wire.TxID) bool { return false }

// R175: who tells and does not give is soon asked for little, and is charged once it does so
// in a row; each time it is shunned for longer.
func TestWhoDeniesWhatItTold(t *testing.T) {
	p := new(pledges)
	never := func(int) bool { return false }
	require.Zero(t, pledging(p, pledgeDoubts-1, 8192, never, nothingExcused))
	most, doubted := p.standing("p")
	require.Equal(t, pledgeTrial, most)
	require.True(t, doubted)
	require.Equal(t, 3, pledging(p, 3, 8192, never, nothingExcused), "the third, and each further one")
	require.Equal(t, 4*pledgeShun, p.peers["p"].shun)
	now := p.peers["p"].shunned
	require.True(t, p.shuns(now.Add(-time.Nanosecond), "p"))
	require.False(t, p.shuns(now, "p"))

	// What it gives from then on is to its credit, and ends the row.
	require.Zero(t, pledging(p, 6, 8192, func(int) bool { return true }, nothingExcused))
	most, doubted = p.standing("p")
	require.Greater(t, most, 8192)
	require.False(t, doubted)
	require.Zero(t, p.peers["p"].failed)
}

// What an honest peer does costs it no reputation: some of what it told left its pool, all of
// it did in a block that we come to know of, or it denies all once or twice.
func TestHonestPeersKeepTheirPledges(t *testing.T) {
	for name, test := range map[string]struct {
		rounds, told int
		gives        func(n int) bool
		excused      func(wire.TxID) bool
	}{
		"a third is gone":      {20, 3000, func(n int) bool { return n%3 > 0 }, nothingExcused},
		"half is gone":         {20, 3000, func(n int) bool { return n%2 > 0 }, nothingExcused},
		"a few are there":      {20, pledgeMargin, func(int) bool { return false }, nothingExcused},
		"a block took all":     {20, 3000, func(int) bool { return false }, func(wire.TxID) bool { return true }},
		"a pool that overflew": {pledgeDoubts - 1, 3000, func(int) bool { return false }, nothingExcused},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(pledges)
			require.Zero(t, pledging(p, test.rounds, test.told, test.gives, test.excused))
		})
	}
	p := new(pledges)
	pledging(p, 20, 3000, func(n int) bool { return n%3 > 0 }, nothingExcused)
	most, _ := p.standing("p")
	require.Greater(t, most, 5000, "and is asked for as much as before")
}

// Who lets requests pass is asked for less, and not charged: its line may do that.
func TestWhoIsSilentIsDoubted(t *testing.T) {
	p, now := new(pledges), time.Unix(1_700_000_000, 0)
	for n := range 100 * maxLapses {
		p.lapsed(now, "p", testID(n), false)
		now = now.Add(lapseAfter / 100)
		fell, broke := p.settle(now, nothingExcused)
		require.Empty(t, broke)
		_ = fell
		if _, doubted := p.standing("p"); doubted {
			return
		}
	}
	require.Fail(t, "never doubted")
}

// What is remembered is bounded, and forgotten some time after the peer is gone.
func TestPledgesAreBounded(t *testing.T) {
	p, now := new(pledges), time.Unix(1_700_000_000, 0)
	for n := range maxPledges + 10 {
		p.lapsed(now.Add(time.Duration(n)), peer.ID(fmt.Sprint(n)), testID(n), true)
	}
	require.Len(t, p.peers, maxPledges)
	require.NotContains(t, p.peers, peer.ID("9"))
	for n := range 2 * maxLapses {
		p.lapsed(now, "10", testID(n), true)
	}
	require.Len(t, p.peers["10"].lapses, maxLapses)
	here := func(id peer.ID) bool { return id == "10" }
	p.prune(now, here)
	require.Len(t, p.peers, maxPledges)
	p.prune(now.Add(pledgeMemory+time.Second), here)
	require.Len(t, p.peers, 1)
}
