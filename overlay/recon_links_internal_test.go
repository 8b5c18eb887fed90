package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
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
	r.began = now.Add(-reconYouth)
	require.Equal(t, map[byte]int{'m': 8, 'o': reconOutside}, count(now), "we came lately ourselves")
	r.began = time.Time{}
	for p := range r.choose(now, peers) {
		r.sessions[reconKey{p, true}] = new(reconSession)
	}
	first := r.choose(now, peers)
	require.Equal(t, first, r.choose(now, peers), "who has a session keeps it")
}

// R67: of the peers outside the mesh that are reconciled with, most are of those that we dialled,
// however many came in, and even if those have sessions already.
func TestWeDialledMostOfWhoWatchesTheMesh(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := &reconciler{
		roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), links: newLinks(),
		sessions: make(map[reconKey]*reconSession), pauses: make(map[peer.ID]reconPeer),
	}
	var peers []member
	add := func(kind string, count int, direction network.Direction) {
		for i := range count {
			peers = append(peers, member{id: peer.ID(fmt.Sprint(kind, i)), direction: direction, opened: now.Add(-time.Hour)})
		}
	}
	add("came in", 100, network.DirInbound)
	for p := range r.choose(now, peers) {
		r.sessions[reconKey{p, true}] = new(reconSession)
	}
	require.Len(t, r.sessions, reconOutside, "if there is nobody else")
	add("dialled", 8, network.DirOutbound)
	for range 100 {
		dialled := 0
		wanted := r.choose(now, peers)
		for p := range wanted {
			if p[0] == 'd' {
				dialled++
			}
		}
		require.Len(t, wanted, reconOutside)
		require.Equal(t, reconDialled, dialled)
	}
}

// onChain is a chain with one block.
type onChain struct {
	Chain
	ledger.Ref
}

func (c onChain) BlockAt(height uint64) (wire.BlockID, bool) { return c.ID, height == c.Height }

func (c onChain) Head() ledger.Ref { return c.Ref }

// told notes what a session is told.
type told struct {
	bag
	hastened bool
	left     time.Time
}

func (m *told) Step(_ time.Time, ev recon.Event, out []recon.Action) []recon.Action {
	_, hasten := ev.(recon.Hasten)
	m.hastened = m.hastened || hasten
	return out
}

func (m *told) Leave(until time.Time) { m.left = until }

// R99: what a rollback gave back is told at once to those who were on that chain before, and not
// yet to those who may have it in their chains still, or rolled it back with us.
func TestWhoIsToldOfARollback(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	tracker, err := fetch.New(fetch.DefaultConfig(), fetch.Key{})
	require.NoError(t, err)
	r := &reconciler{
		cfg:    Config{Chain: onChain{Ref: ledger.Ref{ID: wire.BlockID{1}, Height: 5}}},
		roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), sessions: make(map[reconKey]*reconSession),
		tracker: tracker,
	}
	machines := make(map[reconKey]*told)
	for p, best := range map[peer.ID]head{
		"same": {5, wire.BlockID{1}}, "with us": {5, wire.BlockID{1}}, "apart": {5, wire.BlockID{2}},
		"ahead": {6, wire.BlockID{3}}, "unknown": {},
	} {
		r.roster.members[p] = &member{id: p, best: best}
		for _, asks := range []bool{false, true} {
			key := reconKey{p, asks}
			machines[key] = &told{bag: make(bag)}
			r.sessions[key] = &reconSession{key: key, machine: machines[key], apart: p != "with us"}
		}
	}
	r.known = newKnownTxs()
	ids := make([]wire.TxID, recon.MaxSmall+1)
	for i := range ids {
		ids[i] = testID(i)
	}
	require.True(t, r.inbox.changed(ids, nil))
	r.drain(now)
	r.hastenRolled()
	for key, m := range machines {
		require.Equal(t, key.peer == "same" && key.asks, m.hastened, key)
		require.Equal(t, key.peer != "same" && key.peer != "with us", m.left.Equal(now.Add(rollbackCalm)), key)
	}
}

// R112: a session with a peer on another branch waits with large exchanges until one of the
// two rolled back, or for a while.
func TestWhoIsOnAnotherBranchWaits(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	at := head{5, wire.BlockID{1}}
	for name, one := range map[string]struct {
		best  head
		asks  bool
		waits bool
	}{
		"on our chain":                 {best: at, asks: true},
		"on another":                   {best: head{5, wire.BlockID{2}}, asks: true, waits: true},
		"ahead of us":                  {best: head{6, wire.BlockID{3}}, asks: true, waits: true},
		"at the beginning":             {asks: true},
		"on another, and opened by it": {best: head{5, wire.BlockID{2}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reconciler{
				cfg:    Config{Chain: onChain{Ref: ledger.Ref{ID: at.id, Height: at.height}}},
				roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), known: newKnownTxs(),
			}
			r.roster.members["peer"] = &member{id: "peer", best: one.best}
			m := &told{bag: make(bag)}
			s := &reconSession{key: reconKey{"peer", one.asks}, machine: m}
			r.sessions = map[reconKey]*reconSession{s.key: s}
			r.await(now, s)
			require.Equal(t, one.waits, m.left.Equal(now.Add(forkCalm)))
			if !one.waits {
				require.Zero(t, m.left)
				return
			}
			require.True(t, m.hastened, "it expects much")
			m.hastened = false
			r.rejoin(now.Add(time.Second))
			require.False(t, m.hastened)
			again := *s
			r.rejoin(now.Add(forkCalm))
			require.True(t, m.hastened, "it waited long enough")
			require.Zero(t, m.left)

			m.hastened, *s = false, again
			r.roster.members["peer"].best = at
			r.rejoin(now.Add(time.Second))
			require.True(t, m.hastened, "it is on our chain now")
			require.Zero(t, m.left)
		})
	}
}
