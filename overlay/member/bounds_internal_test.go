package member

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// named yields names of peers whose bucket is picked, as many as there are, beginning with
// the first.
func named(first int, picks func(bucket int) bool) string {
	for i := first; ; i++ {
		if name := fmt.Sprintf("p%d", i); picks(shortOf(peerscore.PeerID(name)).bucket()) {
			return name
		}
	}
}

// learn has m told of a record by friend.
func learn(m *Machine, now time.Time, record []byte) {
	m.Step(now, Received{"friend", (&frame{records: [][]byte{record}}).appendTo(nil)}, nil)
}

// naive is the digest of m's view, worked out.
func naive(m *Machine) []uint64 {
	sums := make([]uint64, buckets)
	for _, e := range append([]entry{m.ownEntry()}, living(m)...) {
		sums[e.id.bucket()] ^= e.hash()
	}
	return sums
}

func living(m *Machine) (out []entry) {
	for _, s := range m.view.list {
		if s.listed() {
			out = append(out, entry{s.short, s.Record.Seq})
		}
	}
	return out
}

// TestDigestIsThatOfTheView: while nodes die, come back, refute, leave, move and are displaced.
func TestDigestIsThatOfTheView(t *testing.T) {
	config := DefaultConfig()
	config.MaxMembers, config.MaxPerGroup = 25, 3
	w := newWorld(t, seedOf(t), 40, 4, config)
	w.loss = 0.2
	changed := 0
	w.on = func(*node, Changed) { changed++ }
	for i := range 60 {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		switch i % 4 {
		case 0:
			n.up = !n.up
		case 1:
			n.m.renew(n.m.own.Seq)
		}
		if i == 50 {
			for _, a := range n.m.Leave(nil) {
				w.send(n, a.(Send))
			}
			n.up = false
		}
		w.run(2 * time.Second)
		for _, n := range w.nodes {
			require.Equal(t, naive(n.m), n.m.view.sums(n.m.ownEntry()))
		}
	}
	require.Greater(t, changed, 100)
}

// R149: comparing digests costs the same however many members there are, for whoever is
// linked may ask for it a hundred times a second.
func TestDigestsAreNotWorkedOutForEachAsker(t *testing.T) {
	m, now := lone(t, DefaultConfig()), epoch
	m.Step(now, Connected{"friend"}, nil)
	for i := range 4096 {
		now = now.Add(100 * time.Millisecond)
		learn(m, now, sealed(fmt.Sprintf("p%d", i), 1))
	}
	require.Greater(t, len(m.Members()), 4000)
	syn := Received{"friend", (&frame{syn: make([]uint64, buckets)}).appendTo(nil)}
	for range 2 * requestsAtOnce {
		m.Step(now, syn, nil)
	}
	require.Less(t, testing.AllocsPerRun(100, func() { m.Step(now, syn, nil) }), 50.0)
}

// R151: members that all chose one bucket do not keep it from being exchanged.
func TestACrowdedBucketIsExchanged(t *testing.T) {
	const crowded = 3
	pair := [2]*Machine{}
	now := epoch
	for i := range pair {
		self := peerscore.PeerID(named(1_000_000*(i+1), func(b int) bool { return b == crowded }))
		keys := notary{self: self, pad: 10}
		var err error
		pair[i], err = New(DefaultConfig(), network, self, book{keys}, keys, rand.New(rand.NewPCG(uint64(i), 2)))
		require.NoError(t, err)
		pair[i].Step(now, Connected{"friend"}, nil)
	}
	for i, n := 0, 0; n < 2*maxEntries; i++ {
		name := fmt.Sprintf("p%d", i)
		if shortOf(peerscore.PeerID(name)).bucket() != crowded {
			continue
		}
		n++
		now = now.Add(100 * time.Millisecond)
		learn(pair[0], now, sealed(name, 1))
		learn(pair[1], now, sealed(name, 1))
	}
	for _, m := range pair {
		require.LessOrEqual(t, len(m.bucket(crowded)), maxEntries)
		require.Greater(t, len(m.bucket(crowded)), maxEntries-10)
	}
	// An exchange of the two, with nothing to look at but that bucket.
	now = now.Add(time.Minute)
	pair[0].links[pair[1].self] = &link{}
	pair[1].links[pair[0].self] = &link{}
	pair[0].order = append(pair[0].order, pair[1].self)
	pair[1].order = append(pair[1].order, pair[0].self)
	told := (&frame{syn: pair[0].view.sums(pair[0].ownEntry())}).appendTo(nil)
	to, frames := 1, 0
	for told != nil && frames < 4 {
		out := pair[to].Step(now, Received{pair[1-to].self, told}, nil)
		told = nil
		for _, a := range out {
			if send, ok := a.(Send); ok && send.To == pair[1-to].self {
				require.LessOrEqual(t, len(send.Frame), MaxFrame)
				told = send.Frame
				frames++
			}
		}
		to = 1 - to
	}
	require.Greater(t, frames, 1, "the bucket differs: the digest is answered, and that again")
}

// settled is a notary whose peers say what group they are in: the last byte of their padding.
type settled struct{ book }

func (settled) Parse(b []byte) (Record, error) {
	r, err := notary{}.Parse(b)
	if err == nil {
		r.Group = netip.PrefixFrom(netip.AddrFrom4([4]byte{30, b[len(b)-65]}), 16)
	}
	return r, err
}

func in(group byte, p string, seq uint64) []byte {
	b := append(sealed(p, seq)[:9+len(p)], group)
	return append(b, stamp(peerscore.PeerID(p), b)...)
}

// R70: a group's share of the view is bounded whatever group its members said they were in when
// they came.
func TestWhoMovesIntoAFullGroupTakesAPlaceInIt(t *testing.T) {
	config := DefaultConfig()
	config.MaxPerGroup = 20
	m, now := lone(t, config), epoch
	m.records = settled{book{notary{self: "me"}}}
	m.Step(now, Connected{"friend"}, nil)
	learn(m, now, in(0, "friend", 1))
	for i := range 200 {
		now = now.Add(100 * time.Millisecond)
		learn(m, now, in(byte(i), fmt.Sprintf("p%d", i), 1))
	}
	require.Len(t, m.Members(), 201)
	for i := range 200 {
		now = now.Add(100 * time.Millisecond)
		learn(m, now, in(7, fmt.Sprintf("p%d", i), 2))
	}
	learn(m, now, in(7, "friend", 2))
	require.Equal(t, Alive, m.State("friend"), "a link is not displaced")
	require.LessOrEqual(t, len(m.Members()), 21)
	for g, n := range m.view.groups {
		require.LessOrEqual(t, n, 20, g)
	}
	require.Equal(t, naive(m), m.view.sums(m.ownEntry()))
}

// R150: an accusation of ourselves counts if its author signed it, and whoever accuses us to our
// face all day is answered seldom: it is those that it tells that matter, and they tell us.
func TestAccusingUsAllDayCostsLittle(t *testing.T) {
	m, now := lone(t, DefaultConfig()), epoch
	m.Step(now, Connected{"liar"}, nil)
	m.Step(now, Connected{"friend"}, nil)
	now = now.Add(time.Minute)
	refuted := func() int { return int(m.Counts().Refuted) }
	accuse := func(from peerscore.PeerID, sign bool) []Action {
		a := accusation{suspect: "me", seq: m.Own().Seq, accuser: "liar", signature: stamp("friend", nil)}
		if sign {
			a.signature = stamp("liar", a.message(network))
		}
		return m.Step(now, Received{from, (&frame{accuse: []accusation{a}}).appendTo(nil)}, nil)
	}
	require.Equal(t, []Action{Fault{"friend", BadSignature}}, accuse("friend", false))
	require.Zero(t, refuted())
	for range 3600 {
		accuse("liar", true)
		if now.Sub(epoch) == time.Minute {
			require.Equal(t, 1, refuted(), "the first at once")
		}
		now = now.Add(time.Second)
	}
	require.Less(t, refuted(), 150)
	before := refuted()
	accuse("friend", true)
	require.Equal(t, before+1, refuted(), "somebody believed it")
}

// R150: one link that passes on an accusation each second has us answer once in ten, whoever is
// said to have signed it.
func TestAccusationsInOthersNames(t *testing.T) {
	m, now := lone(t, DefaultConfig()), epoch
	for _, p := range []peerscore.PeerID{"liar", "friend"} {
		m.Step(now, Connected{p}, nil)
	}
	now = now.Add(time.Minute)
	const hour = 3600
	for i := range hour {
		a := accusation{suspect: "me", seq: m.Own().Seq, accuser: peerscore.PeerID(fmt.Sprintf("nobody %d", i))}
		a.signature = stamp(a.accuser, a.message(network))
		m.Step(now, Received{"liar", (&frame{accuse: []accusation{a}}).appendTo(nil)}, nil)
		now = now.Add(time.Second)
	}
	require.LessOrEqual(t, m.Counts().Refuted, uint64(hearsayAtOnce+hour*hearsayPerSecond+1))
}

// R150: members that are accused without end to their faces say little to all others.
func TestSlanderOfAllCostsLittle(t *testing.T) {
	w, liar := crowdWithLiar(t)
	minute := func(each func()) float64 {
		before := w.sent()
		for range 60 {
			each()
			w.run(time.Second)
		}
		return float64(w.sent()-before) / 40 / 60
	}
	slander := func() {
		for _, to := range w.nodes[:40] {
			a := accusation{suspect: to.id, seq: to.m.Own().Seq, accuser: liar.id}
			a.signature = stamp(liar.id, a.message(network))
			w.push(w.now.Add(liar.near[to.id]), to, Received{liar.id, (&frame{accuse: []accusation{a}}).appendTo(nil)}, false)
		}
	}
	quiet := minute(func() {})
	minute(slander) // the first are answered
	told := minute(slander)
	t.Logf("quiet %.0f, accused %.0f bytes/s per node", quiet, told)
	require.Less(t, told, quiet+4000)
	require.Zero(t, w.falseDeaths)
}

// R73: a liar that is linked to all, carries nothing for anybody, and knows at what moment who
// believes it, makes nobody dead.
func TestALiarThatPicksItsMomentsMakesNobodyDead(t *testing.T) {
	const victims = 5
	w, liar := crowdWithLiar(t)
	liar.lie = func(_ *node, b []byte) [][]byte {
		f, err := decodeFrame(b)
		require.NoError(t, err)
		f.records, f.signed, f.relayed, f.accuse, f.entries, f.mask, f.wanted = nil, nil, nil, nil, nil, 0, nil
		return [][]byte{f.appendTo(nil)}
	}
	suspected := 0
	w.on = func(_ *node, c Changed) {
		if c.State == Suspect {
			suspected++
		}
	}
	for range 600 {
		w.run(100 * time.Millisecond)
		for _, to := range w.nodes[victims:40] {
			v := w.nodes[w.rng.IntN(victims)]
			s := to.m.view.get(v.id)
			if to.near[v.id] != 0 || s.State != Alive || w.now.Before(s.grace) {
				continue
			}
			a := accusation{suspect: v.id, seq: s.Record.Seq, accuser: liar.id}
			a.signature = stamp(liar.id, a.message(network))
			w.push(w.now.Add(liar.near[to.id]), to, Received{liar.id, (&frame{accuse: []accusation{a}}).appendTo(nil)}, false)
		}
	}
	t.Logf("suspected %d times", suspected)
	require.Greater(t, suspected, 500)
	require.Zero(t, w.falseDeaths)
}

// R152: what a link may cost us is not there again because the peer opens another.
func TestAnotherLinkRefillsNothing(t *testing.T) {
	m, learned := lone(t, DefaultConfig()), 0
	flood := func(now time.Time) {
		for i := range 10 {
			var f frame
			for j := range maxRecords {
				f.records = append(f.records, sealed(fmt.Sprintf("p%d-%d-%d", now.Unix(), i, j), 1))
			}
			for _, a := range m.Step(now, Received{"flood", f.appendTo(nil)}, nil) {
				if _, ok := a.(Learned); ok {
					learned++
				}
			}
		}
	}
	m.Step(epoch, Connected{"flood"}, nil)
	flood(epoch)
	require.Greater(t, learned, recordsAtOnce/2)
	for range 5 {
		m.Step(epoch, Gone{Peer: "flood"}, nil)
		m.Step(epoch, Connected{"flood"}, nil)
		flood(epoch)
	}
	require.LessOrEqual(t, learned, recordsAtOnce)
	m.Step(epoch, Gone{Peer: "flood"}, nil)

	for i := range 2 * maxLinks { // and what is remembered of links is bounded
		p := peerscore.PeerID(fmt.Sprint("guest ", i))
		m.Step(epoch, Connected{p}, nil)
		m.Step(epoch, Gone{Peer: p}, nil)
	}
	require.LessOrEqual(t, len(m.spent), maxLinks)
	later := epoch.Add(refilled)
	m.Step(later, Connected{"last"}, nil)
	m.Step(later, Gone{Peer: "last"}, nil)
	require.Len(t, m.spent, 1)
	learned = 0
	m.Step(later, Connected{"flood"}, nil)
	flood(later)
	require.Greater(t, learned, recordsAtOnce/2, "in the end it is there again")
}
