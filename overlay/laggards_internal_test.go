package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// A peer whose queue overflows, or does not move, is told apart from those that read.
func TestReadingsTellWhoDoesNotRead(t *testing.T) {
	o := newOutflow(100)
	for range 50 {
		for _, p := range []peer.ID{"a", "b", "c"} {
			o.queued(p)
			o.written(p)
		}
		o.queued("full")
		o.written("full")
		o.dropped("full")
	}
	o.queued("stuck")
	now := time.Now().Add(laggardStuck + time.Second)
	require.ElementsMatch(t, []peer.ID{"full", "stuck"}, o.troubled(now))
	steady := map[peer.ID]bool{"full": true, "stuck": true}
	o.excuse(steady)
	readings := o.readings(now, steady)
	require.Equal(t, peerscore.Reading{Peer: "a", Sent: 50}, readings[0])
	require.Equal(t, []peerscore.PeerID{"full", "stuck"}, peerscore.Laggards(readings))
	for _, r := range o.readings(now, steady) {
		require.Zero(t, r.Sent+r.Dropped, "each is told once")
	}
}

// R97: what is not taken while the line carries nothing is not held against the peer, and
// what was not taken before that still is.
func TestDeadLinesAreNoLaggards(t *testing.T) {
	o := newOutflow(100)
	drop := func(times int) {
		for range times {
			o.dropped("p")
		}
	}
	o.queued("p")
	o.queued("other") // and it is not said to be steady either
	drop(3)
	o.excuse(map[peer.ID]bool{"p": true})
	drop(40)
	o.excuse(nil)
	drop(4)
	o.excuse(map[peer.ID]bool{"p": true})
	drop(5) // not looked at yet
	now := time.Now().Add(laggardStuck + time.Second)
	require.Equal(t, []peerscore.Reading{
		{Peer: "other", Sent: 1},
		{Peer: "p", Sent: 1, Dropped: 3 + 4 + 5, Stuck: true},
	}, o.readings(now, map[peer.ID]bool{"p": true}))
	require.False(t, o.readings(now, nil)[1].Stuck)
}

// R103: what falls into a time in which most lines of the mesh are full, or into a pause of
// our own, proves nothing.
func TestFullLinesProveNothing(t *testing.T) {
	start := time.Now()
	w, at := watched{since: start}, func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, look := range []struct {
		second             int
		jammed, over, sure bool
	}{
		{1, false, false, false},
		{10, false, true, true},
		{11, true, false, false}, // and no more later
		{19, false, false, false},
		{20, false, true, false},
		{30, false, true, true},
		{40, true, true, false},
		{60, false, true, false}, // we have slept
	} {
		over, sure := w.look(at(look.second), look.jammed)
		require.Equal(t, [2]bool{look.over, look.sure}, [2]bool{over, sure}, "second %d", look.second)
	}
}

// R103: lines are jammed where most of the mesh is, more than one of them.
func TestJammed(t *testing.T) {
	o, mesh := newOutflow(100), newLinks()
	fill := func(p peer.ID) {
		for range fullLine {
			o.queued(p)
		}
	}
	mesh.set("a", true)
	fill("a")
	fill("beside") // not of the mesh
	require.False(t, o.jammed(mesh), "one may do that")
	mesh.set("b", true)
	mesh.set("c", true)
	require.False(t, o.jammed(mesh))
	fill("b")
	require.True(t, o.jammed(mesh))
	o.written("b")
	require.False(t, o.jammed(mesh))
}
