package member

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// crowdWithLiar is 40 nodes and one that is linked to all of them.
func crowdWithLiar(t *testing.T) (w *world, liar *node) {
	w = newWorld(t, seedOf(t), 41, 4, DefaultConfig())
	liar = w.nodes[40]
	for _, n := range w.nodes[:40] {
		w.join(liar, n)
	}
	w.run(time.Minute)
	require.Equal(t, 40, w.count(liar.id, Alive))
	return w, liar
}

// R73: a relay that is linked to all, accuses everybody of every version it
// hears of, passes nothing on, and answers each request that the target is not
// to be reached, makes nobody dead.
func TestLyingRelayMakesNobodyDead(t *testing.T) {
	w, liar := crowdWithLiar(t)
	turn := 0
	liar.lie = func(to *node, b []byte) [][]byte {
		f, err := decodeFrame(b)
		require.NoError(t, err)
		f.records, f.signed, f.relayed, f.accuse, f.entries, f.mask, f.wanted = nil, nil, nil, nil, nil, 0, nil
		for range 4 {
			turn++
			victim := w.nodes[turn%40]
			s := liar.m.view.get(victim.id)
			if victim == to || s == nil {
				continue
			}
			a := accusation{suspect: victim.id, seq: s.Record.Seq, accuser: liar.id}
			a.signature = stamp(liar.id, a.message(network))
			f.accuse = append(f.accuse, a)
		}
		return [][]byte{f.appendTo(nil)}
	}
	suspected := 0
	w.on = func(_ *node, c Changed) {
		if c.State == Suspect {
			suspected++
		}
	}
	w.run(90 * time.Second)
	require.Positive(t, suspected, "the lies were heard")
	require.Zero(t, w.falseDeaths)
	require.Zero(t, w.faults, "an accusation is no provable fault")
	liar.lie = nil
	w.run(10 * time.Second)
	for _, n := range w.nodes {
		require.Equal(t, 40, w.count(n.id, Alive))
	}
}

// R72: a relay that is linked to all replays what the dead ever said, and
// forges records and acknowledgements, makes nobody alive; who forges is told by
// the forgery.
func TestLyingRelayMakesNobodyAlive(t *testing.T) {
	w, liar := crowdWithLiar(t)
	victim := w.nodes[3]
	// The liar has all that the victim ever signed: its record, and an
	// acknowledgement for each of the others.
	record := victim.m.Own()
	acks := make(map[peerscore.PeerID]signedAck)
	for _, n := range w.nodes[:40] {
		a := signedAck{nonce: 7, prober: n.id, target: victim.id, seq: record.Seq}
		a.signature = stamp(victim.id, a.message(network))
		acks[n.id] = a
	}
	victim.up = false

	replay := func(to *node, b []byte) [][]byte {
		f, err := decodeFrame(b)
		require.NoError(t, err)
		f.accuse = nil
		f.records = append(f.records, record.Sealed)
		f.signed = append(f.signed, acks[to.id])
		for nonce := range w.asked(to, victim.id) {
			a := acks[to.id] // the right nonce on an old signature does not verify
			f.signed = append(f.signed, signedAck{nonce + 1, a.prober, a.target, a.seq, a.signature})
		}
		return [][]byte{f.appendTo(nil)}
	}
	liar.lie = replay
	w.run(15 * time.Second)
	require.Equal(t, 40, w.count(victim.id, Dead))
	require.Zero(t, w.faults, "to replay is not to forge")
	w.run(time.Minute)
	require.Equal(t, 40, w.count(victim.id, Dead))

	// Forgeries are the liar's fault, whatever they say.
	forged := record
	forged.Sealed = append([]byte(nil), record.Sealed...)
	forged.Sealed[7]++ // a higher sequence number
	out := w.nodes[5].m.Step(w.now, Received{liar.id, (&frame{records: [][]byte{forged.Sealed}}).appendTo(nil)}, nil)
	require.Equal(t, []Action{Fault{liar.id, BadSignature}}, out)
	require.Equal(t, Dead, w.nodes[5].m.State(victim.id))

	other := w.nodes[6]
	other.m.probe(victim.id)
	p := other.m.probing(victim.id)
	a := signedAck{nonce: p.nonce, prober: other.id, target: victim.id, seq: record.Seq, signature: stamp(liar.id, []byte("x"))}
	out = other.m.Step(w.now, Received{liar.id, (&frame{signed: []signedAck{a}}).appendTo(nil)}, nil)
	require.Equal(t, []Action{Fault{liar.id, BadSignature}}, out)
	require.Equal(t, Dead, other.m.State(victim.id))

	// What the victim signs for this very question does count.
	a.signature = stamp(victim.id, a.message(network))
	out = other.m.Step(w.now, Received{liar.id, (&frame{signed: []signedAck{a}}).appendTo(nil)}, nil)
	require.Contains(t, out, Action(Changed{victim.id, Alive}))

	// And an accusation in another's name is the fault of who passes it on.
	b := accusation{suspect: w.nodes[1].id, seq: other.m.view.get(w.nodes[1].id).Record.Seq, accuser: w.nodes[2].id, signature: stamp(liar.id, nil)}
	other.m.view.get(w.nodes[1].id).grace = time.Time{}
	out = other.m.Step(w.now, Received{liar.id, (&frame{accuse: []accusation{b}}).appendTo(nil)}, nil)
	require.Equal(t, []Action{Fault{liar.id, BadSignature}}, out)
}

// R159: the last record of a node that is long dead and forgotten, or is about to be, is no news
// from a relay, whatever the clock of the dead was; nor does anybody ask for it, as long as it may
// be offered.
func TestReplayedRecordOfTheForgottenDeadIsNoNews(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration
	}{{"a clock as ours", 0}, {"minutes behind", -10 * time.Minute}, {"minutes ahead", 10 * time.Minute}, {"a day ahead", 24 * time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			config := DefaultConfig()
			config.QuietEach, config.QuietMost = time.Minute, time.Minute // hours pass here
			m, now := lone(t, config), epoch
			m.Step(now, Connected{"liar"}, nil)
			learn := func(from peerscore.PeerID, record []byte) []Action {
				return m.Step(now, Received{from, (&frame{records: [][]byte{record}}).appendTo(nil)}, nil)
			}
			last := version("victim", at(now.Add(c.ahead)))
			m.Step(now, Connected{"victim"}, nil)
			learn("victim", last)
			require.Equal(t, Alive, m.State("victim"), "its own word counts, whatever its clock")
			m.Step(now, Gone{Peer: "victim", Lost: true}, nil)
			for range 60 { // it does not answer
				now = now.Add(time.Second)
				m.Step(now, Received{"liar", (&frame{pings: []uint64{1}}).appendTo(nil)}, nil)
				m.Step(now, Tick{}, nil)
			}
			require.Equal(t, Dead, m.State("victim"))
			for range 40 * 60 {
				now = now.Add(time.Minute)
				learn("liar", version("liar", at(now)))
				m.Step(now, Tick{}, nil)
				for _, a := range learn("liar", last) {
					_, fault := a.(Fault)
					require.False(t, fault, "to replay is not to forge")
				}
				require.NotEqual(t, Alive, m.State("victim"), "after %v", now.Sub(epoch))
				require.NotEqual(t, Suspect, m.State("victim"), "after %v", now.Sub(epoch))
				if m.State("victim") == Dead {
					continue
				}
				offer := frame{mask: 1<<buckets - 1, entries: []entry{{shortOf("victim"), at(epoch.Add(c.ahead))}}}
				for _, a := range m.Step(now, Received{"liar", offer.appendTo(nil)}, nil) {
					f, err := decodeFrame(a.(Send).Frame)
					require.NoError(t, err)
					require.Empty(t, f.wanted)
				}
			}
			require.Equal(t, Unknown, m.State("victim"), "and it is forgotten")
			m.Step(now, Connected{"victim"}, nil)
			learn("victim", last)
			require.Equal(t, Alive, m.State("victim"), "unless it comes itself")
			require.Equal(t, naive(m), m.view.sums(m.ownEntry()))
			require.NotContains(t, m.bucket(shortOf("victim").bucket()), entry{shortOf("victim"), at(epoch.Add(c.ahead))})
		})
	}
}

// R159: who is hours behind is a member to those that it is linked to, and its record does not keep
// others comparing digests for ever.
func TestWhoseClockIsWrongIsTakenOfItsOwnWord(t *testing.T) {
	w := newWorld(t, seedOf(t), 12, 4, DefaultConfig())
	odd := w.nodes[0]
	keys := notary{self: odd.id, pad: 130, now: func() time.Time { return w.now.Add(-5 * time.Hour) }}
	m, err := New(DefaultConfig(), network, odd.id, book{keys}, keys, w.rng)
	require.NoError(t, err)
	odd.m = m
	w.run(5 * time.Minute)
	for _, n := range w.nodes[1:] {
		want := Unknown
		if n.near[odd.id] != 0 {
			want = Alive
		}
		require.Equal(t, want, n.m.State(odd.id))
		require.Len(t, n.m.bucket(shortOf(odd.id).bucket()), len(w.nodes[1].m.bucket(shortOf(odd.id).bucket())))
		require.Equal(t, w.nodes[1].m.view.sums(w.nodes[1].m.ownEntry()), n.m.view.sums(n.m.ownEntry()), "who is not odd has one view")
	}
	require.Zero(t, w.falseDeaths+w.faults)
}

// asked is the nonces that n awaits an answer of p with.
func (w *world) asked(n *node, p peerscore.PeerID) map[uint64]bool {
	nonces := make(map[uint64]bool)
	if q := n.m.probing(p); q != nil {
		nonces[q.nonce] = true
	}
	return nonces
}

// R71: who sleeps, or is cut off from all, takes nobody for dead.
func TestOurOwnStallKillsNobody(t *testing.T) {
	w := newWorld(t, seedOf(t), 40, 5, DefaultConfig())
	w.run(time.Minute)
	sleeper := w.nodes[0]

	sleeper.up = false // its ticks and frames are lost
	w.run(2 * time.Second)
	sleeper.up = true
	w.run(30 * time.Second)
	require.Zero(t, w.falseDeaths)

	alone := w.nodes[1]
	alone.lie = func(*node, []byte) [][]byte { return nil } // nothing leaves it
	near := alone.near
	for _, n := range w.nodes {
		if near[n.id] != 0 { // and nothing reaches it
			n.lie = func(to *node, b []byte) [][]byte {
				if to == alone {
					return nil
				}
				return [][]byte{b}
			}
		}
	}
	var dead []peerscore.PeerID
	w.on = func(n *node, c Changed) {
		if n == alone && c.State == Dead {
			dead = append(dead, c.Peer)
		}
	}
	w.run(time.Minute)
	require.Empty(t, dead)
	require.Equal(t, 39, w.count(alone.id, Dead), "to the others it is")
	for _, n := range w.nodes {
		n.lie = nil
	}
	w.run(30 * time.Second)
	require.Equal(t, 39, w.count(alone.id, Alive), "and comes back")
	for _, n := range w.nodes[2:] {
		require.Equal(t, Alive, alone.m.State(n.id))
	}
}

// R159: a node whose clock was a day ahead and was put right is alive to those that were linked to it
// meanwhile, and hear of it from others now.
func TestWhoseClockWasPutRightIsKnownAgain(t *testing.T) {
	config := DefaultConfig()
	config.QuietEach, config.QuietMost = time.Minute, time.Minute
	m, now := lone(t, config), epoch
	hear := func(from peerscore.PeerID, records ...[]byte) {
		m.Step(now, Received{from, (&frame{records: records, pings: []uint64{1}}).appendTo(nil)}, nil)
	}
	m.Step(now, Connected{"victim"}, nil)
	hear("victim", version("victim", at(now.Add(24*time.Hour))))
	m.Step(now, Gone{Peer: "victim"}, nil)
	m.Step(now, Connected{"friend"}, nil)
	for minute := range 36 * 60 {
		now = now.Add(time.Minute)
		hear("friend")
		if minute%60 == 0 {
			hear("friend", version("friend", at(now)), version("victim", at(now)))
		}
		m.Step(now, Tick{}, nil)
		require.NotEqual(t, Dead, m.State("victim"), "after %v", now.Sub(epoch))
	}
}

// R159: a node whose clock was hours behind tells of itself anew as soon as it is put right, since nobody
// passes its old record on.
func TestARecordIsMadeAnewWhenTheClockIsPutRight(t *testing.T) {
	now, behind := epoch, 5*time.Hour
	keys := notary{self: "me", pad: 10, now: func() time.Time { return now.Add(-behind) }}
	m, err := New(DefaultConfig(), network, "me", book{keys}, keys, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	m.Step(now, Connected{"friend"}, nil)
	behind = 0
	for range DefaultConfig().RefuteEvery/time.Second + 1 {
		now = now.Add(time.Second)
		m.Step(now, Received{"friend", (&frame{pings: []uint64{1}}).appendTo(nil)}, nil)
		m.Step(now, Tick{}, nil)
	}
	require.True(t, m.timely(m.Own().Seq))
}
