package overlay

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestWithholdingCosts: who keeps back what it owes of blocks loses reputation, again and
// again and bounded; who is late or has little to answer for does not, and nobody does
// where all keep back.
func TestWithholdingCosts(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	config := peerscore.DefaultConfig()
	book, err := peerscore.New(config)
	require.NoError(t, err)
	lapses := map[peerscore.PeerID]int{}
	c := &compactor{debts: newDebtBook(), court: &court{
		now: func() time.Time { return now }, log: slog.New(slog.NewTextHandler(io.Discard, nil)), book: book,
		addr: func(peer.ID) netip.Addr { return netip.Addr{} },
	}}
	c.cfg.Hooks.BlockLapse = func(_ wire.BlockID, p peerscore.PeerID, what compact.Lapse) {
		require.Equal(t, compact.Withheld, what)
		lapses[p]++
	}
	honest := []peerscore.PeerID{"h1", "h2", "h3", "slow"}
	blocks := func(n int, unpaid map[peerscore.PeerID]int) {
		for range n {
			now = now.Add(3 * time.Second)
			var actions []compact.Action
			for _, p := range append([]peerscore.PeerID{"thief"}, honest...) {
				actions = append(actions, compact.Settled{Link: p, Owed: 4, Unpaid: unpaid[p]})
			}
			c.carryOut(now, actions)
		}
	}
	score := func(p peerscore.PeerID) float64 { return c.court.score(peer.ID(p)) }

	blocks(1, map[peerscore.PeerID]int{"thief": 4})
	require.Zero(t, score("thief"), "one block is no sin")
	blocks(1, map[peerscore.PeerID]int{"thief": 4, "slow": 1})
	first := score("thief")
	require.Negative(t, first)
	blocks(20, map[peerscore.PeerID]int{"thief": 2})
	require.Less(t, score("thief"), 2*first)
	require.Equal(t, 22, lapses["thief"])
	blocks(1_000, map[peerscore.PeerID]int{"thief": 4})
	require.Greater(t, score("thief"), -config.MaxInferred-1, "what is inferred never cuts off")
	for _, p := range honest {
		require.Zero(t, score(p), p)
	}

	blocks(20, map[peerscore.PeerID]int{"thief": 4, "h1": 4, "h2": 3, "slow": 4})
	for _, p := range honest {
		require.Zero(t, score(p), "it is our own line: %s", p)
	}
}

// Peers that come and go do not fill memory, nor push out who has much to answer for.
func TestDebtorsAreBounded(t *testing.T) {
	d, now := newDebtBook(), time.Unix(1_000_000, 0)
	d.add(now, compact.Settled{Link: "thief", Owed: 4, Unpaid: 4})
	for i := range 2 * maxDebtors {
		d.add(now, compact.Settled{Link: peerscore.PeerID(fmt.Sprint(i)), Owed: 1})
	}
	require.LessOrEqual(t, len(d.accounts), maxDebtors)
	require.Contains(t, d.accounts, peerscore.PeerID("thief"))
	for range 8 {
		now = now.Add(2 * debtsAge)
		d.add(now, compact.Settled{Link: "new", Owed: 1})
	}
	require.Len(t, d.accounts, 1, "forgotten")
}
