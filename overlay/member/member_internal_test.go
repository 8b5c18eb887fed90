package member

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

func lone(t testing.TB, config Config) *Machine {
	keys := notary{self: "me", pad: 10}
	m, err := New(config, network, "me", book{keys}, keys, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	return m
}

// sealed is the record of p that it made so many nanoseconds after epoch.
func sealed(p string, later uint64) []byte { return version(p, at(epoch)+later) }

func version(p string, seq uint64) []byte {
	keys := notary{self: peerscore.PeerID(p), now: func() time.Time { return time.Unix(0, 0) }}
	r, _ := keys.Seal(seq)
	return r.Sealed
}

// R74: with nothing but exchanges of digests, a record is with everybody in
// O(log N) rounds: eight times the nodes do not take eight times as long.
func TestRecordsSpreadInLogarithmicRounds(t *testing.T) {
	seed := seedOf(t)
	rounds := make(map[int]float64)
	for _, n := range []int{25, 200} {
		config := DefaultConfig()
		config.QuietEach, config.QuietMost = time.Hour, time.Hour // silence but for digests
		w := newWorld(t, seed, n, 8, config)
		w.run(2 * time.Minute)
		for _, x := range w.nodes {
			require.Len(t, x.m.Members(), n-1)
			x.m.config.Fanout = 0
		}
		const times = 5
		for _, first := range w.nodes[:times] {
			first.m.renew(first.m.own.Seq)
			began, seq := w.now, first.m.own.Seq
			for have := 0; have < n-1; {
				w.run(time.Second)
				require.Less(t, w.now.Sub(began), 5*time.Minute)
				have = 0
				for _, x := range w.nodes {
					if x != first && x.m.view.get(first.id).Record.Seq == seq {
						have++
					}
				}
			}
			rounds[n] += float64(w.now.Sub(began)) / float64(config.SynEvery) / times
		}
	}
	t.Logf("rounds until all have a record, in the mean, by nodes: %v", rounds)
	require.Less(t, rounds[200], 2.5*rounds[25], "eight times the nodes")
}

// R70: a view is bounded, in all and by group, by a rank that nobody can aim
// at, and says how many there are nevertheless.
func TestViewIsBounded(t *testing.T) {
	config := DefaultConfig()
	config.MaxMembers, config.MaxPerGroup = 400, 50
	m := lone(t, config)
	now := epoch
	m.Step(now, Connected{"friend"}, nil)
	m.Step(now, Received{"friend", (&frame{records: [][]byte{sealed("friend", 1)}}).appendTo(nil)}, nil)
	const many = 5000
	for i := range many {
		now = now.Add(100 * time.Millisecond)
		f := frame{records: [][]byte{sealed(fmt.Sprintf("p%d", i), 1)}}
		for _, a := range m.Step(now, Received{"friend", f.appendTo(nil)}, nil) {
			_, fault := a.(Fault)
			require.False(t, fault)
		}
	}
	require.LessOrEqual(t, len(m.Members()), 400)
	require.Greater(t, len(m.Members()), 350)
	require.Equal(t, Alive, m.State("friend"), "a link is not displaced")
	require.InEpsilon(t, many, m.Size(), 0.2)
	for g, n := range m.view.groups {
		require.LessOrEqual(t, n, 50, g)
	}
	require.Len(t, m.view.members, len(m.view.list))
	require.Len(t, m.view.short, len(m.view.list))
}

// One link cannot make us check more signatures than its allowance.
func TestWorkPerLinkIsBounded(t *testing.T) {
	m := lone(t, DefaultConfig())
	m.Step(epoch, Connected{"flood"}, nil)
	learned := 0
	for i := range 100 {
		var f frame
		for j := range maxRecords {
			f.records = append(f.records, sealed(fmt.Sprintf("p%d-%d", i, j), 1))
		}
		for _, a := range m.Step(epoch, Received{"flood", f.appendTo(nil)}, nil) {
			if _, ok := a.(Learned); ok {
				learned++
			}
		}
	}
	require.LessOrEqual(t, learned, recordsAtOnce)
	require.Empty(t, m.Step(epoch, Received{"stranger", (&frame{pings: []uint64{1}}).appendTo(nil)}, nil), "no link")
}

func TestMembersOfWhomNothingComesExpire(t *testing.T) {
	m := lone(t, DefaultConfig())
	now := epoch
	m.Step(now, Connected{"friend"}, nil)
	m.Step(now, Received{"friend", (&frame{records: [][]byte{sealed("far", 1)}}).appendTo(nil)}, nil)
	require.Equal(t, Alive, m.State("far"))
	var last []Action
	for m.State("far") != Unknown {
		now = now.Add(time.Second)
		require.Less(t, now.Sub(epoch), 4*time.Hour)
		last = m.Step(now, Tick{}, last[:0])
	}
	require.Contains(t, last, Action(Changed{"far", Dead}))
	require.GreaterOrEqual(t, now.Sub(epoch), 3*time.Hour)
	require.Greater(t, m.Own().Seq, at(epoch)+2, "we renewed ours meanwhile")
}

// TestSameEventsSameActions replays a run.
func TestSameEventsSameActions(t *testing.T) {
	seed := seedOf(t)
	run := func() (log []string) {
		w := newWorld(t, seed, 30, 4, DefaultConfig())
		w.loss = 0.1
		w.on = func(n *node, c Changed) { log = append(log, fmt.Sprint(w.now.UnixNano(), n.id, c)) }
		w.run(30 * time.Second)
		w.nodes[2].up = false
		w.run(30 * time.Second)
		return append(log, fmt.Sprint(w.sent()))
	}
	require.Equal(t, run(), run())
}

func TestConfigIsRefusedWithAllReasons(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	err := Config{SuspectMax: -1, ExpireAfter: -1}.Validate()
	for _, name := range []string{
		"QuietEach", "PingEvery", "Pings", "Indirect", "SuspectMin", "SuspectMax", "Confirm", "Grace",
		"Fanout", "SynEvery", "RefreshEvery", "ExpireAfter", "RefuteEvery", "MaxMembers", "MaxPerGroup",
	} {
		require.ErrorContains(t, err, name+" is")
	}
}

// mute cannot sign.
type mute struct{ book }

func (mute) Seal(uint64) (Record, error) { return Record{}, errors.New("key is locked") }

func TestTroubleWithOurKey(t *testing.T) {
	keys := notary{self: "me"}
	_, err := New(DefaultConfig(), network, "me", mute{book{keys}}, keys, rand.New(rand.NewPCG(1, 2)))
	require.ErrorContains(t, err, "key is locked")
	m := lone(t, DefaultConfig())
	m.records = mute{}
	m.Step(epoch, Tick{}, nil)
	require.NoError(t, m.Broken())
	m.Step(epoch.Add(2*time.Hour), Tick{}, nil)
	require.ErrorContains(t, m.Broken(), "key is locked")
}

func full() frame {
	return frame{
		pings: []uint64{1}, acks: []uint64{2}, nacks: []uint64{3},
		requests: []request{{4, "target", 9}}, relayed: []relayed{{5, "prober"}},
		signed:  []signedAck{{6, "prober", "target", 7, []byte("signature")}},
		accuse:  []accusation{{"suspect", 8, "accuser", []byte("signature")}},
		records: [][]byte{[]byte("record")}, syn: make([]uint64, buckets), mask: 5,
		entries: []entry{{shortID{1}, 2}}, wanted: []shortID{{3}},
	}
}

func TestFrameBounds(t *testing.T) {
	f := full()
	got, err := decodeFrame(f.appendTo(nil))
	require.NoError(t, err)
	require.Equal(t, f, *got)
	got, err = decodeFrame(append(f.appendTo(nil), 0xfa, 0x01, 3, 1, 2, 3)) // field 31
	require.NoError(t, err)
	require.Equal(t, f, *got, "unknown fields are skipped")

	long := func(n int) []byte { return make([]byte, n) }
	for name, c := range map[string]struct {
		f    frame
		want Malformed
	}{
		"pings":      {frame{pings: make([]uint64, maxRequests+1)}, TooLarge},
		"requests":   {frame{requests: []request{{1, peerscore.PeerID(long(MaxPeerID + 1)), 1}}}, WrongLength},
		"no target":  {frame{requests: []request{{1, "", 1}}}, WrongLength},
		"record":     {frame{records: [][]byte{long(MaxRecord + 1)}}, WrongLength},
		"no record":  {frame{records: [][]byte{{}}}, WrongLength},
		"records":    {frame{records: make([][]byte, 300)}, WrongLength},
		"accuse":     {frame{accuse: make([]accusation, 40)}, WrongLength},
		"signature":  {frame{signed: []signedAck{{1, "a", "b", 1, long(MaxSignature + 1)}}}, WrongLength},
		"syn":        {frame{syn: make([]uint64, buckets-1)}, WrongLength},
		"entries":    {frame{entries: make([]entry, maxEntries+1)}, WrongLength},
		"wanted":     {frame{wanted: make([]shortID, maxEntries+1)}, WrongLength},
		"whole":      {frame{entries: make([]entry, 5000)}, TooLarge},
		"everything": {frame{pings: make([]uint64, 8000)}, TooLarge},
	} {
		_, err := decodeFrame(c.f.appendTo(nil))
		require.ErrorIs(t, err, c.want, name)
	}
	_, err = decodeFrame([]byte{0x1a, 2, 0x18, 1}) // a request without a target
	require.ErrorIs(t, err, Missing)
	_, err = decodeFrame([]byte{0x0b})
	require.ErrorIs(t, err, NotProtobuf, "groups")
	whole := f.appendTo(nil)
	for n := range whole {
		_, err := decodeFrame(whole[:n])
		if err != nil {
			require.True(t, errors.Is(err, NotProtobuf) || errors.Is(err, WrongLength) || errors.Is(err, Missing), "%v", err)
		}
	}
}

// FuzzFrame: whatever comes, nothing panics, what decodes encodes to what
// decodes to the same, and a machine bears it.
func FuzzFrame(f *testing.F) {
	whole := full()
	f.Add(whole.appendTo(nil))
	f.Add((&frame{records: [][]byte{sealed("peer", 3)}}).appendTo(nil))
	f.Add([]byte{})
	m := lone(f, DefaultConfig())
	m.Step(epoch, Connected{"peer"}, nil)
	now := epoch
	f.Fuzz(func(t *testing.T, b []byte) {
		now = now.Add(time.Millisecond)
		m.Step(now, Received{"peer", b}, nil)
		got, err := decodeFrame(b)
		if err != nil {
			return
		}
		again, err := decodeFrame(got.appendTo(nil))
		require.NoError(t, err)
		require.Equal(t, got.appendTo(nil), again.appendTo(nil))
	})
}
