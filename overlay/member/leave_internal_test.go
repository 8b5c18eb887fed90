package member

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// R76: who says farewell is dead to all at once; its farewell, told again and
// again, does not touch the next version of its record.
func TestFarewell(t *testing.T) {
	w := newWorld(t, seedOf(t), 40, 5, DefaultConfig())
	w.run(time.Minute)
	leaver := w.nodes[0]
	suspected := 0
	w.on = func(_ *node, c Changed) {
		if c.State == Suspect {
			suspected++
		}
	}
	for _, a := range leaver.m.Leave(nil) {
		w.send(leaver, a.(Send))
	}
	require.Empty(t, leaver.m.Leave(nil), "once is enough")
	leaver.up = false
	w.run(2 * time.Second)
	require.GreaterOrEqual(t, w.count(leaver.id, Dead), 36, "links that are quiet tell it later")
	require.Zero(t, suspected, "nobody had to ask")
	w.run(15 * time.Second)
	require.Equal(t, 39, w.count(leaver.id, Dead))

	replayed := w.nodes[1].m.view.get(leaver.id).accusers[0]
	keys := notary{self: leaver.id, pad: 130}
	next, err := keys.Seal(replayed.seq + 1)
	require.NoError(t, err)
	liar, other := w.nodes[1], w.nodes[2]
	w.join(liar, other)
	w.run(time.Second)
	other.m.Step(w.now, Received{liar.id, (&frame{records: [][]byte{next.Sealed}}).appendTo(nil)}, nil)
	require.Equal(t, Alive, other.m.State(leaver.id))
	other.m.Step(w.now, Received{liar.id, (&frame{accuse: []accusation{replayed}}).appendTo(nil)}, nil)
	require.Equal(t, Alive, other.m.State(leaver.id))

	// Nobody says it for another.
	forged := replayed
	forged.seq++
	out := other.m.Step(w.now, Received{liar.id, (&frame{accuse: []accusation{forged}}).appendTo(nil)}, nil)
	require.Equal(t, []Action{Fault{liar.id, BadSignature}}, out)
	require.Equal(t, Alive, other.m.State(leaver.id))
}

// R75: a node whose clock was ahead in an earlier life outruns the record that it
// left behind, once it meets it; a forged one does not drive it anywhere.
func TestRecordOfAnEarlierLifeIsOutrun(t *testing.T) {
	m := lone(t, DefaultConfig())
	m.Step(epoch, Connected{"friend"}, nil)
	m.Step(epoch, Received{"friend", (&frame{records: [][]byte{sealed("friend", 1)}}).appendTo(nil)}, nil)
	forged := sealed("me", 1<<41)
	forged[len(forged)-1]++
	m.Step(epoch, Received{"friend", (&frame{records: [][]byte{forged}}).appendTo(nil)}, nil)
	require.Less(t, m.Own().Seq, at(epoch)+1<<40)
	out := m.Step(epoch, Received{"friend", (&frame{records: [][]byte{sealed("me", 1<<40)}}).appendTo(nil)}, nil)
	require.Equal(t, at(epoch)+1<<40+1, m.Own().Seq)
	require.Contains(t, out, Action(Send{"friend", (&frame{records: [][]byte{m.Own().Sealed}}).appendTo(nil)}))
}

// Moved is told to all, and what a link owes us is measured from the first
// question on.
// D6: nothing follows the last sequence number. A record with it is taken of its peer alone, and
// replaced by what that says once its clock is right; one of our own that somebody kept does not
// throw us back.
func TestD6LastSequenceNumber(t *testing.T) {
	m := lone(t, DefaultConfig())
	m.Step(epoch, Connected{"friend"}, nil)
	hear := func(b []byte) []Action {
		return m.Step(epoch, Received{"friend", (&frame{records: [][]byte{b}}).appendTo(nil)}, nil)
	}
	hear(version("friend", math.MaxUint64))
	require.Equal(t, Alive, m.State("friend"))
	require.EqualValues(t, uint64(math.MaxUint64), m.view.get("friend").Record.Seq)
	hear(version("far", math.MaxUint64))
	require.Equal(t, Unknown, m.State("far"))
	hear(sealed("friend", 1))
	require.Equal(t, at(epoch)+1, m.view.get("friend").Record.Seq)
	before := m.Own().Seq
	require.Empty(t, hear(version("me", math.MaxUint64)))
	require.Equal(t, before, m.Own().Seq)
}

func TestMovedAndSilence(t *testing.T) {
	config := DefaultConfig()
	config.QuietEach, config.QuietMost = 500*time.Millisecond, 500*time.Millisecond
	m := lone(t, config)
	m.Step(epoch, Connected{"friend"}, nil)
	m.Step(epoch, Received{"friend", (&frame{records: [][]byte{sealed("friend", 1)}}).appendTo(nil)}, nil)
	before := m.Own().Seq
	out := m.Step(epoch, Moved{}, nil)
	require.Greater(t, m.Own().Seq, before)
	require.Len(t, out, 1)

	require.Zero(t, m.Silence("friend"))
	now := epoch
	for range 30 {
		now = now.Add(100 * time.Millisecond)
		m.Step(now, Tick{}, nil)
	}
	require.Greater(t, m.Silence("friend"), 2*time.Second)
	require.Equal(t, uint64(1), m.Counts().Failed)
	require.Positive(t, m.Counts().Probes)
	m.Step(now, Received{"friend", (&frame{acks: []uint64{1}}).appendTo(nil)}, nil)
	require.Zero(t, m.Silence("friend"))
	require.Zero(t, m.Silence("stranger"))
}

// A node whose only link breaks is dead to all, also if it spoke a moment before.
func TestLostLinkIsFollowedUp(t *testing.T) {
	w := newWorld(t, seedOf(t), 20, 4, DefaultConfig())
	loner, friend := w.nodes[0], w.nodes[1]
	for _, n := range w.nodes {
		delete(loner.near, n.id)
		delete(n.near, loner.id)
	}
	w.queue = nil
	for _, n := range w.nodes {
		w.push(w.now, n, Tick{}, true)
		for _, o := range w.nodes {
			if n.near[o.id] != 0 {
				w.push(w.now, n, Connected{o.id}, false)
			}
		}
	}
	w.join(loner, friend)
	w.run(30 * time.Second)
	require.Equal(t, 19, w.count(loner.id, Alive))
	w.step(friend, Received{loner.id, (&frame{acks: []uint64{1}}).appendTo(nil)})
	loner.up = false
	w.step(friend, Gone{Peer: loner.id, Lost: true})
	w.run(30 * time.Second)
	require.Equal(t, 19, w.count(loner.id, Dead))
}
