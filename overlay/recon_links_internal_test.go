package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// unplugged is a network without addresses.
type unplugged struct{ network.Network }

func (unplugged) ConnsToPeer(peer.ID) []network.Conn { return nil }

// R98: who came lately is reconciled with beside the mesh and those outside that have
// sessions, which after a partition are all of our own side.
func TestWhoCameLatelyIsReconciledWith(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	links := newLinks()
	r := &reconciler{
		roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), links: links,
		sessions: make(map[reconKey]*reconSession), pauses: make(map[peer.ID]reconPeer),
	}
	var peers []member
	add := func(kind string, count int, opened time.Time) {
		for i := range count {
			peers = append(peers, member{id: peer.ID(fmt.Sprint(kind, i)), opened: opened})
		}
	}
	add("mesh", 8, now.Add(-time.Hour))
	add("old", 5, now.Add(-time.Hour))
	for _, m := range peers {
		if m.id[0] == 'm' {
			links.set(m.id, true)
		} else {
			r.sessions[reconKey{m.id, true}] = new(reconSession)
		}
	}
	count := func(at time.Time) map[byte]int {
		n := make(map[byte]int)
		for p := range r.choose(at, peers) {
			n[p[0]]++
		}
		return n
	}
	require.Equal(t, map[byte]int{'m': 8, 'o': reconOutside}, count(now))
	add("young", 20, now)
	require.Equal(t, map[byte]int{'m': 8, 'o': reconOutside, 'y': reconYoung}, count(now))
	require.Equal(t, map[byte]int{'m': 8, 'o': reconOutside}, count(now.Add(reconYouth)))
	for p := range r.choose(now, peers) {
		r.sessions[reconKey{p, true}] = new(reconSession)
	}
	first := r.choose(now, peers)
	require.Equal(t, first, r.choose(now, peers), "who has a session keeps it")
}

// onChain is a chain with one block.
type onChain struct {
	Chain
	ledger.Ref
}

func (c onChain) BlockAt(height uint64) (wire.BlockID, bool) { return c.ID, height == c.Height }

// R99: what a rollback gave back is told at once to those who are on the chain now, and not
// to those who may have it in their chains still.
func TestWhoIsOnOurChain(t *testing.T) {
	ours := ledger.Ref{ID: wire.BlockID{1}, Height: 5}
	r := &reconciler{
		cfg:    Config{Chain: onChain{Ref: ours}},
		roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil),
	}
	for p, best := range map[peer.ID]head{
		"same": {5, wire.BlockID{1}}, "apart": {5, wire.BlockID{2}}, "ahead": {6, wire.BlockID{3}}, "unknown": {},
	} {
		r.roster.members[p] = &member{id: p, best: best}
		require.Equal(t, p == "same", r.onOurChain(p), p)
	}
	require.False(t, r.onOurChain("gone"))
}
