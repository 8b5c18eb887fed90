package fetch_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dchest/siphash"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func id(n int) (id wire.TxID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n))
	return id
}

func tracker(t require.TestingT, config fetch.Config, key fetch.Key) *fetch.Tracker {
	tr, err := fetch.New(config, key)
	require.NoError(t, err)
	return tr
}

func from(peer string, preferred bool) fetch.Source {
	return fetch.Source{Peer: peerscore.PeerID(peer), Preferred: preferred, RTT: 50 * time.Millisecond}
}

// R64: TestOneRequestAtATime: the second source is asked when the first has failed, at
// once, and each only once.
func TestOneRequestAtATime(t *testing.T) {
	tr := tracker(t, fetch.DefaultConfig(), fetch.Key{1})
	require.True(t, tr.Announced(epoch, from("a", true), id(1)))
	require.True(t, tr.Announced(epoch, from("b", true), id(1)))
	require.False(t, tr.Announced(epoch, from("b", true), id(1)), "announced before")
	at, ok := tr.Next()
	require.True(t, ok && !at.After(epoch))
	requests, broken := tr.Tick(epoch)
	require.Len(t, requests, 1)
	require.Empty(t, broken)
	first := requests[0]
	require.Equal(t, []wire.TxID{id(1)}, first.IDs)
	require.Equal(t, epoch.Add(250*time.Millisecond), first.Until)
	again, _ := tr.Tick(epoch)
	require.Empty(t, again)

	other := peerscore.PeerID("a")
	if first.Peer == "a" {
		other = "b"
	}
	tr.Failed(other, id(1)) // was not asked
	again, _ = tr.Tick(epoch)
	require.Empty(t, again)
	tr.Failed(first.Peer, id(1))
	require.False(t, tr.Announced(epoch, from(string(first.Peer), true), id(1)), "it failed, and still is remembered")
	requests, _ = tr.Tick(epoch)
	require.Equal(t, other, requests[0].Peer)
	at, ok = tr.Next()
	require.True(t, ok)
	require.Equal(t, requests[0].Until, at)
	_, broken = tr.Tick(at)
	require.Equal(t, []fetch.Broken{{Peer: other, ID: id(1)}}, broken)
	require.Zero(t, tr.Len(), "nobody is left to ask")
	require.True(t, tr.Announced(at, from(string(first.Peer), true), id(1)), "and so anybody may announce it anew")
}

// TestPreferredFirst: who was not dialled by us waits, and then comes after those
// who were.
func TestPreferredFirst(t *testing.T) {
	config := fetch.DefaultConfig()
	for key := range byte(20) {
		tr := tracker(t, config, fetch.Key{key})
		tr.Announced(epoch, from("a", false), id(1))
		requests, _ := tr.Tick(epoch)
		require.Empty(t, requests)
		due, _ := tr.Next()
		require.Equal(t, epoch.Add(config.OtherDelay), due)
		tr.Announced(epoch, from("b", true), id(1))
		requests, _ = tr.Tick(epoch)
		require.Equal(t, peerscore.PeerID("b"), requests[0].Peer)
		requests, _ = tr.Tick(due)
		require.Empty(t, requests, "one at a time")
		tr.Announced(due, from("c", true), id(1))
		requests, broken := tr.Tick(epoch.Add(config.MaxExpiry))
		require.Len(t, broken, 1)
		require.Equal(t, peerscore.PeerID("c"), requests[0].Peer)
		tr.Gone("c")
		requests, _ = tr.Tick(epoch.Add(config.MaxExpiry))
		require.Equal(t, peerscore.PeerID("a"), requests[0].Peer)
		tr.Arrived(id(1))
		require.Zero(t, tr.Len())
	}
}

// TestChoiceIsRandom: which of the preferred peers is asked first depends on the
// key alone, and all are alike in it.
func TestChoiceIsRandom(t *testing.T) {
	const peers, txs = 4, 4000
	tr := tracker(t, fetch.DefaultConfig(), fetch.Key{7})
	for n := range txs {
		for p := range peers {
			tr.Announced(epoch, from(fmt.Sprint(p), true), id(n))
		}
	}
	requests, _ := tr.Tick(epoch)
	got := map[peerscore.PeerID]int{}
	for _, r := range requests {
		require.LessOrEqual(t, len(r.IDs), fetch.DefaultConfig().MaxRequest)
		got[r.Peer] += len(r.IDs)
	}
	for p, n := range got {
		require.InDelta(t, txs/peers, n, 100, string(p))
	}
}

// TestLiarsDelay holds the delay by peers that announce and withhold to what doc.go
// states, worst and mean: one expiry for each liar that comes before the first
// honest peer.
func TestLiarsDelay(t *testing.T) {
	const txs = 400
	for _, c := range []struct{ peers, honest int }{{8, 1}, {8, 2}, {10, 1}, {10, 5}, {20, 2}} {
		config := fetch.DefaultConfig()
		config.Each = 0 // as if it were one at a time
		tr := tracker(t, config, fetch.Key{byte(c.peers), byte(c.honest)})
		for n := range txs {
			for p := range c.peers { // the liars are always the first to announce
				tr.Announced(epoch, from(fmt.Sprint(p), true), id(n))
			}
		}
		arrived := map[wire.TxID]time.Duration{}
		for now := epoch; tr.Len() > 0; {
			requests, _ := tr.Tick(now)
			for _, r := range requests {
				var n int
				_, err := fmt.Sscan(string(r.Peer), &n)
				require.NoError(t, err)
				if n >= c.peers-c.honest {
					for _, id := range r.IDs {
						arrived[id] = now.Sub(epoch)
						tr.Arrived(id)
					}
				}
			}
			if at, ok := tr.Next(); ok && at.After(now) {
				now = at
			}
		}
		require.Len(t, arrived, txs)
		const expiry = 250 * time.Millisecond // at the round-trip time of these peers
		var sum, worst time.Duration
		for _, d := range arrived {
			sum += d
			worst = max(worst, d)
		}
		mean := sum / txs
		liars := c.peers - c.honest
		t.Logf("%d peers, %d honest: mean %v, worst %v", c.peers, c.honest, mean, worst)
		require.LessOrEqual(t, worst, time.Duration(liars)*expiry)
		require.InDelta(t, float64(liars)/float64(c.honest+1), float64(mean)/float64(expiry), 0.15*float64(liars)/float64(c.honest+1)+0.1)
	}
}

// TestFullPeerIsPassedOver: open requests hold up nobody else's.
func TestFullPeerIsPassedOver(t *testing.T) {
	config := fetch.DefaultConfig()
	config.MaxInFlight, config.Refill = 3, 2
	tr := tracker(t, config, fetch.Key{1})
	for n := range 10 {
		tr.Announced(epoch, from("a", true), id(n))
	}
	requests, _ := tr.Tick(epoch)
	require.Len(t, requests, 1)
	require.Len(t, requests[0].IDs, 3)
	tr.Announced(epoch, from("b", false), id(9))
	requests, _ = tr.Tick(epoch.Add(config.OtherDelay))
	require.Equal(t, peerscore.PeerID("b"), requests[0].Peer, "who is not preferred, but free")
	tr.Arrived(id(0))
	requests, _ = tr.Tick(epoch.Add(config.OtherDelay))
	require.Empty(t, requests, "one place is not worth a request")
	tr.Arrived(id(1))
	_, ok := tr.Next()
	require.True(t, ok)
	requests, _ = tr.Tick(epoch.Add(config.OtherDelay))
	require.Equal(t, []wire.TxID{id(3), id(4)}, requests[0].IDs, "as many as there are places")
	_, broken := tr.Tick(epoch.Add(time.Minute))
	require.Len(t, broken, 4)
}

// TestManyHaveTheirTime: what was asked for later comes later.
func TestManyHaveTheirTime(t *testing.T) {
	config := fetch.DefaultConfig()
	tr := tracker(t, config, fetch.Key{1})
	for n := range 1000 {
		tr.Announced(epoch, from("a", true), id(n))
	}
	requests, _ := tr.Tick(epoch)
	alone := 250 * time.Millisecond // what one has at the round-trip time of these peers
	require.Equal(t, epoch.Add(alone+999*config.Each), requests[len(requests)-1].Until)
	_, broken := tr.Tick(epoch.Add(alone))
	require.Len(t, broken, 1)
	_, broken = tr.Tick(epoch.Add(alone + 999*config.Each))
	require.Len(t, broken, 999)
}

// R176: large transactions on a slow line are waited for while they come, and for no longer
// than that, nor for who sends too little.
func TestWhatComesSlowlyIsWaitedFor(t *testing.T) {
	config := fetch.DefaultConfig()
	config.MinRate, config.MaxPatience = 1000, 3*time.Second
	const alone = 250 * time.Millisecond // what one has at the round-trip time of these peers
	for name, test := range map[string]struct {
		every  time.Duration
		size   int
		comes  time.Duration // until then
		broken time.Duration
	}{
		"steadily":        {100 * time.Millisecond, 150, time.Second, time.Second + alone},
		"too much":        {100 * time.Millisecond, 150, 5 * time.Second, config.MaxPatience},
		"by bytes":        {100 * time.Millisecond, 1, time.Second, 252 * time.Millisecond},
		"not at all":      {time.Hour, 0, 0, alone},
		"at its own ease": {300 * time.Millisecond, 5000, time.Second, alone},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tracker(t, config, fetch.Key{1})
			tr.Announced(epoch, from("a", true), id(1))
			_, broken := tr.Tick(epoch)
			require.Empty(t, broken)
			require.True(t, tr.Asks("a", id(1)))
			now := epoch
			for at := test.every; len(broken) == 0; now = now.Add(time.Millisecond) {
				if now.Sub(epoch) == at && at <= test.comes {
					tr.Progress(now, "a", test.size)
					at += test.every
				}
				_, broken = tr.Tick(now)
				if len(broken) > 0 {
					break
				}
			}
			require.Equal(t, test.broken, now.Sub(epoch))
			require.False(t, tr.Asks("a", id(1)))
		})
	}
}

// R175: who is doubted is asked last, has few places, and is no ground to hope for anything.
func TestDoubtedPeersComeLast(t *testing.T) {
	for key := range byte(20) {
		tr := tracker(t, fetch.DefaultConfig(), fetch.Key{key})
		doubted := from("doubted", true)
		doubted.Doubted, doubted.Most = true, 2
		require.True(t, tr.Announced(epoch, doubted, id(1)))
		require.True(t, tr.Announced(epoch, doubted, id(2)))
		require.False(t, tr.Announced(epoch, doubted, id(3)))
		require.Zero(t, tr.Likely())
		require.Equal(t, 2, tr.Len())
		tr.Announced(epoch, from("other", false), id(1))
		require.Equal(t, 1, tr.Likely())
		requests, _ := tr.Tick(epoch.Add(fetch.DefaultConfig().OtherDelay))
		require.Len(t, requests, 2)
		for _, r := range requests {
			want := map[peerscore.PeerID]wire.TxID{"other": id(1), "doubted": id(2)}[r.Peer]
			require.Equal(t, []wire.TxID{want}, r.IDs)
		}
	}
	tr := tracker(t, fetch.DefaultConfig(), fetch.Key{})
	for n := range 10 {
		tr.Announced(epoch, from("a", true), id(n))
	}
	fallen := from("a", true)
	fallen.Doubted, fallen.Most = true, 3
	tr.Revise(fallen)
	require.Equal(t, 3, tr.Len())
	require.Zero(t, tr.Likely())
	fallen.Doubted = false
	tr.Revise(fallen)
	require.Equal(t, 3, tr.Likely())
}

// TestFloodLosesForOthers: who announces most has no more than is left.
func TestFloodLosesForOthers(t *testing.T) {
	config := fetch.DefaultConfig()
	config.MaxAnnounced, config.MaxTotal = 100, 100
	tr := tracker(t, config, fetch.Key{1})
	for n := range 200 {
		tr.Announced(epoch, from("flood", true), id(n))
	}
	for n := range 49 {
		require.True(t, tr.Announced(epoch, from("quiet", true), id(1000+n)))
	}
	require.True(t, tr.Announced(epoch, from("quiet", true), id(1)), "one that the flood has too")
	require.False(t, tr.Announced(epoch, from("quiet", true), id(2000)), "half is its share")
	require.Equal(t, 99, tr.Len())
	tr.Gone("flood")
	require.Equal(t, 50, tr.Len())
	require.True(t, tr.Announced(epoch, from("quiet", true), id(2000)))
}

func TestBoundPerPeer(t *testing.T) {
	config := fetch.DefaultConfig()
	config.MaxAnnounced = 5
	tr := tracker(t, config, fetch.Key{1})
	for n := range 10 {
		require.Equal(t, n < 5, tr.Announced(epoch, from("flood", true), id(n)))
	}
	require.True(t, tr.Announced(epoch, from("other", true), id(9)))
	tr.Arrived(id(0))
	require.True(t, tr.Announced(epoch, from("flood", true), id(9)))
	tr.Gone("flood")
	require.Equal(t, 1, tr.Len())
	tr.Gone("nobody")
	tr.Gone("other")
	require.Zero(t, tr.Len())
	requests, broken := tr.Tick(epoch.Add(time.Hour))
	require.Empty(t, requests)
	require.Empty(t, broken)
	_, ok := tr.Next()
	require.False(t, ok, "nothing is left to do")
}

// naive keeps every announcement in one list, and looks through all of it.
type naive struct {
	config fetch.Config
	key    fetch.Key
	list   []*record
	busy   map[peerscore.PeerID]*busy
}

// busy is a peer while requests of it are out.
type busy struct {
	since, progress time.Time
	came            int
}

func (m *naive) asks(peer peerscore.PeerID) bool {
	return m.count(func(r *record) bool { return r.from.Peer == peer && !r.until.IsZero() }) > 0
}

// patience is until when a request is waited for, if its time were over.
func (m *naive) patience(r *record) time.Time {
	b := m.busy[r.from.Peer]
	if b.progress.IsZero() {
		return r.until
	}
	expiry := m.expiry(r)
	worth := time.Duration(b.came) * time.Second / time.Duration(m.config.MinRate)
	return sooner(sooner(b.progress.Add(expiry), b.since.Add(expiry+worth)), r.since.Add(m.config.MaxPatience))
}

func (m *naive) expiry(r *record) time.Duration {
	return min(m.config.MaxExpiry, max(m.config.MinExpiry, 2*r.from.RTT+m.config.ExpirySlack))
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

type record struct {
	from  fetch.Source
	id    wire.TxID
	ready time.Time
	since time.Time // asked for
	until time.Time // of the request; zero if none is out
	over  bool
}

func (m *naive) rank(r *record) uint64 {
	return siphash.Hash(binary.LittleEndian.Uint64(m.key[:8]), binary.LittleEndian.Uint64(m.key[8:]), append(r.id[:], r.from.Peer...))
}

func (m *naive) count(match func(*record) bool) (n int) {
	for _, r := range m.list {
		if match(r) {
			n++
		}
	}
	return n
}

func (m *naive) out(id wire.TxID) bool {
	return m.count(func(r *record) bool { return r.id == id && !r.until.IsZero() }) > 0
}

func (m *naive) free(r *record) bool {
	return m.count(func(s *record) bool { return s.from.Peer == r.from.Peer && !s.until.IsZero() }) < m.config.MaxInFlight
}

// before says whether r is to be asked rather than s.
func (m *naive) before(r, s *record) bool {
	switch {
	case r.from.Doubted != s.from.Doubted:
		return s.from.Doubted
	case r.from.Preferred != s.from.Preferred:
		return r.from.Preferred
	default:
		return m.rank(r) > m.rank(s)
	}
}

// best is who should be asked for id, if anybody.
func (m *naive) best(now time.Time, id wire.TxID) (best *record) {
	if m.out(id) {
		return nil
	}
	for _, r := range m.list {
		if r.id != id || r.over || r.ready.After(now) || !m.free(r) {
			continue
		}
		if best == nil || m.before(r, best) {
			best = r
		}
	}
	return best
}

// drop takes records out, and then those of transactions without hope.
func (m *naive) drop(match func(*record) bool) {
	keep := func(match func(*record) bool) {
		var list []*record
		for _, r := range m.list {
			if !match(r) {
				list = append(list, r)
			}
		}
		m.list = list
	}
	keep(match)
	keep(func(r *record) bool {
		return m.count(func(s *record) bool { return s.id == r.id && !s.over }) == 0
	})
}

// TestAgainstNaive holds every answer of a Tracker against the naive model: whom
// it asks is the best at that moment, nobody is left whom it could ask, and what
// it calls broken is.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &naive{
			config: fetch.Config{
				OtherDelay:   time.Duration(rapid.IntRange(0, 3).Draw(t, "other")) * 100 * time.Millisecond,
				MinExpiry:    100 * time.Millisecond,
				MaxExpiry:    400 * time.Millisecond,
				ExpirySlack:  50 * time.Millisecond,
				MinRate:      100,
				MaxPatience:  700 * time.Millisecond,
				MaxAnnounced: rapid.IntRange(1, 12).Draw(t, "announced"),
				MaxTotal:     rapid.IntRange(12, 24).Draw(t, "total"),
				MaxInFlight:  rapid.IntRange(1, 4).Draw(t, "in flight"),
				Refill:       1,
				MaxRequest:   rapid.IntRange(1, 3).Draw(t, "request"),
			},
			key:  fetch.Key{rapid.Byte().Draw(t, "key")},
			busy: make(map[peerscore.PeerID]*busy),
		}
		tr := tracker(t, m.config, m.key)
		now := epoch
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			tx := id(rapid.IntRange(0, 15).Draw(t, "tx"))
			peer := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "peer"))
			switch rapid.IntRange(0, 11).Draw(t, "what") {
			case 0, 1, 2, 3:
				src := fetch.Source{
					Peer: peerscore.PeerID(peer), Preferred: peer < "3", Doubted: rapid.Bool().Draw(t, "doubted"),
					RTT: time.Duration(rapid.IntRange(0, 300).Draw(t, "rtt")) * time.Millisecond, Most: rapid.IntRange(0, 6).Draw(t, "most"),
				}
				require.Equal(t, m.announced(now, src, tx), tr.Announced(now, src, tx))
			case 4:
				tr.Arrived(tx)
				m.drop(func(r *record) bool { return r.id == tx })
			case 5:
				tr.Failed(peerscore.PeerID(peer), tx)
				m.failed(peerscore.PeerID(peer), tx)
			case 6:
				tr.Gone(peerscore.PeerID(peer))
				m.drop(func(r *record) bool { return string(r.from.Peer) == peer })
			case 7:
				src := fetch.Source{
					Peer: peerscore.PeerID(peer), Doubted: rapid.Bool().Draw(t, "doubted"), Most: rapid.IntRange(0, 6).Draw(t, "most"),
				}
				tr.Revise(src)
				m.revise(src)
			case 8:
				from, size := peerscore.PeerID(peer), rapid.IntRange(1, 60).Draw(t, "size")
				tr.Progress(now, from, size)
				if m.asks(from) {
					m.busy[from].progress = now
					m.busy[from].came += size
				}
			default:
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "time")) * time.Millisecond)
				m.tick(t, now, tr)
			}
		}
		for range 100 {
			m.tick(t, now, tr)
			require.Equal(t, m.likely(), tr.Likely())
			now = now.Add(100 * time.Millisecond)
		}
		require.Zero(t, tr.Len(), "everybody was asked, and nobody answered")
	})
}

func (m *naive) announced(now time.Time, src fetch.Source, tx wire.TxID) bool {
	of := func(r *record) bool { return r.from.Peer == src.Peer }
	live := m.count(func(r *record) bool { return of(r) && !r.over })
	if src.Most > 0 && live >= src.Most || m.count(of) >= m.config.MaxAnnounced || m.count(func(r *record) bool { return of(r) && r.id == tx }) > 0 {
		return false
	}
	if len(m.list) >= m.config.MaxTotal && !m.makeRoom(m.count(of)) {
		return false
	}
	r := &record{from: src, id: tx, ready: now}
	if !src.Preferred {
		r.ready = now.Add(m.config.OtherDelay)
	}
	m.list = append(m.list, r)
	return true
}

// revise applies what is said of a peer to all its records, and takes the newest that are too many.
func (m *naive) revise(src fetch.Source) {
	of := func(r *record) bool { return r.from.Peer == src.Peer && !r.over }
	for _, r := range m.list {
		if of(r) {
			r.from.Doubted = src.Doubted
		}
	}
	for i := len(m.list) - 1; src.Most > 0 && i >= 0; i-- {
		if i < len(m.list) && of(m.list[i]) && m.list[i].until.IsZero() && m.count(of) > src.Most {
			lost := m.list[i]
			m.drop(func(r *record) bool { return r == lost })
			i = len(m.list)
		}
	}
}

// likely counts the transactions that somebody who is not doubted may still give.
func (m *naive) likely() int {
	likely := make(map[wire.TxID]bool)
	for _, r := range m.list {
		if !r.over && !r.from.Doubted {
			likely[r.id] = true
		}
	}
	return len(likely)
}

// makeRoom takes the newest record that was never asked for of the peer that has
// most, if that is clearly more than has.
func (m *naive) makeRoom(has int) bool {
	var largest peerscore.PeerID
	most := 0
	for n := range 6 {
		peer := peerscore.PeerID(fmt.Sprint(n))
		if c := m.count(func(r *record) bool { return r.from.Peer == peer }); c > most {
			largest, most = peer, c
		}
	}
	if most <= has+1 {
		return false
	}
	for i := len(m.list) - 1; i >= 0; i-- {
		if r := m.list[i]; r.from.Peer == largest && !r.over && r.until.IsZero() {
			m.drop(func(s *record) bool { return r == s })
			return true
		}
	}
	return false
}

func (m *naive) failed(peer peerscore.PeerID, tx wire.TxID) {
	for _, r := range m.list {
		if r.from.Peer == peer && r.id == tx && !r.until.IsZero() {
			r.until, r.over = time.Time{}, true
		}
	}
	m.drop(func(*record) bool { return false })
}

func (m *naive) tick(t *rapid.T, now time.Time, tr *fetch.Tracker) {
	requests, broken := tr.Tick(now)
	late := 0
	for _, r := range m.list {
		if !r.until.IsZero() && !r.until.After(now) {
			if until := m.patience(r); until.After(now) {
				r.until = until
				continue
			}
			late++
			require.Contains(t, broken, fetch.Broken{Peer: r.from.Peer, ID: r.id})
			r.until, r.over = time.Time{}, true
		}
	}
	require.Len(t, broken, late)
	m.drop(func(*record) bool { return false })
	var fresh []*record
	for _, req := range requests {
		require.LessOrEqual(t, len(req.IDs), m.config.MaxRequest)
		require.NotEmpty(t, req.IDs)
		until := time.Time{}
		for _, tx := range req.IDs {
			require.False(t, m.out(tx), "one request at a time")
			for _, r := range m.list {
				if r.id == tx && r.from.Peer == req.Peer {
					require.False(t, r.over, "failed before")
					require.False(t, r.ready.After(now), "too early")
					require.True(t, m.free(r), "too much in flight")
					require.True(t, tr.Asks(req.Peer, tx))
					if !m.asks(req.Peer) {
						m.busy[req.Peer] = &busy{since: now}
					}
					r.since, r.until = now, now.Add(m.expiry(r))
					until = later(until, r.until)
					fresh = append(fresh, r)
				}
			}
			require.True(t, m.out(tx), "never announced by whom it is asked of")
		}
		require.Equal(t, until, req.Until)
	}
	for _, r := range m.list {
		require.Nil(t, m.best(now, r.id), "could be asked for")
	}
	for _, r := range fresh {
		m.isBest(t, now, r)
	}
	if at, ok := tr.Next(); ok {
		require.True(t, at.After(now), "all is done that was due")
	}
}

// isBest holds the choice of r just made against those that were passed over: they come
// later in the order, or had all their requests in flight.
func (m *naive) isBest(t *rapid.T, now time.Time, r *record) {
	for _, s := range m.list {
		if s == r || s.id != r.id || s.over || s.ready.After(now) || !m.free(s) {
			continue
		}
		require.False(t, m.before(s, r), "passed over a better one that was free")
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	require.NoError(t, fetch.DefaultConfig().Validate())
	_, err := fetch.New(fetch.Config{OtherDelay: -1, MaxExpiry: -1, ExpirySlack: -1, MaxTotal: -1, Each: -1, MaxPatience: -2}, fetch.Key{})
	for _, field := range []string{"OtherDelay", "MinExpiry", "MaxExpiry", "ExpirySlack", "MaxAnnounced", "MaxTotal", "MaxInFlight", "MaxRequest", "Each", "Refill", "MinRate", "MaxPatience"} {
		require.ErrorContains(t, err, field)
	}
}

// BenchmarkFetch is one transaction from three announcements to its arrival.
func BenchmarkFetch(b *testing.B) {
	tr := tracker(b, fetch.DefaultConfig(), fetch.Key{1})
	rng := rand.New(rand.NewPCG(1, 2))
	sources := []fetch.Source{from("a", true), from("b", true), from("c", false)}
	for b.Loop() {
		tx := id(int(rng.Uint32()))
		for _, s := range sources {
			tr.Announced(epoch, s, tx)
		}
		tr.Tick(epoch)
		tr.Arrived(tx)
	}
}
