package overlay

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// hasty counts how often a session is hastened.
type hasty struct {
	recon.Initiator
	times int
}

func (h *hasty) Step(_ time.Time, ev recon.Event, out []recon.Action) []recon.Action {
	if _, ok := ev.(recon.Hasten); ok {
		h.times++
	}
	return out
}

func (h *hasty) Add(wire.TxID) {}

// hungry is a reconciler whose mesh gives nothing, and the peers that it may feed on.
func hungry(now time.Time) (r *reconciler, peers []member) {
	r = &reconciler{
		log: slog.New(slog.DiscardHandler), roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), links: newLinks(), crew: new(crew),
		known: newKnownTxs(), sessions: make(map[reconKey]*reconSession), pauses: make(map[peer.ID]reconPeer),
		hunger: hunger{starved: func() bool { return true }, pulled: func() time.Time { return time.Time{} }},
	}
	for i := range 20 {
		m := member{id: peer.ID(fmt.Sprint("peer ", i)), direction: network.DirInbound}
		switch {
		case i < 3:
			m.direction = network.DirOutbound
		case i < 5:
			m.useful = now
		}
		peers = append(peers, m)
	}
	return r, peers
}

// R156: a node that had to ask for what its mesh did not bring compares again and again, by
// turns, with those it dialled and those that brought something, and with nobody else.
func TestHungerFeeds(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r, peers := hungry(now)
	for _, m := range peers {
		r.sessions[reconKey{m.id, true}] = &reconSession{key: reconKey{m.id, true}, machine: new(hasty), cancel: func(error) {}}
	}
	for range 100 {
		r.hunger.seat(now, peers)
		r.feed(now)
		now = now.Add(100 * time.Millisecond)
	}
	times := func(i int) int { return r.sessions[reconKey{peers[i].id, true}].machine.(*hasty).times }
	require.Zero(t, times(0), "nothing was asked for yet: the network may be quiet")

	r.hunger.fetched = now
	for range 50 {
		r.hunger.seat(now, peers)
		r.feed(now)
		now = now.Add(100 * time.Millisecond)
	}
	for i := range peers {
		if i < 5 {
			require.InDelta(t, 5, times(i), 1, "once a second, which is what peers put up with")
		} else {
			require.Zero(t, times(i))
		}
	}
	require.Subset(t, r.choose(now, peers), map[peer.ID]bool{peers[0].id: true, peers[1].id: true, peers[2].id: true, peers[3].id: true, peers[4].id: true})

	r.hunger.starved = func() bool { return false }
	r.hunger.seat(now, peers)
	require.Empty(t, r.hunger.feeders, "the mesh gives enough by now")
	r.hunger.starved = func() bool { return true }
	r.hunger.seat(now.Add(hungerFor), peers)
	require.Empty(t, r.hunger.feeders, "nothing had to be asked for in a while")
}

// What nobody can be compared with is not waited for in a circle.
func TestHungerRests(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r, peers := hungry(now)
	r.hunger.fetched = now
	r.hunger.seat(now, peers)
	r.feed(now)
	require.True(t, r.hunger.next.After(now))
	for i := range peers {
		peers[i].direction = network.DirOutbound
	}
	r.hunger.seat(now, peers)
	require.Len(t, r.hunger.feeders, hungerLinks)
}

// An answer to what was asked for on the topic is what hunger is felt by.
func TestPulledIsWhatWasAskedFor(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPulls(time.Second, time.Minute, 10)
	p.announced(now, "a", []string{"x", "y"})
	p.arrived(now, "b", "x", 1)
	require.Zero(t, p.answered(), "it came by itself")
	p.arrived(now, "a", "y", 1)
	require.Equal(t, now, p.answered())
}
