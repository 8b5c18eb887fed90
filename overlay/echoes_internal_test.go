package overlay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R45: an own transaction counts as told once three peers, in two networks, have it by
// another way than from us.
func TestEchoesThatCount(t *testing.T) {
	tx := soundTxs(t, "echo", 1)[0]
	now := time.UnixMilli(1_000_000)
	newBook := func(networks int) *echoBook {
		b := newEchoBook(DefaultLimits(), networks)
		require.True(t, b.follow(tx, "message", now))
		return b
	}
	said := func(b *echoBook, p peer.ID, network string) bool { return b.echoed(tx.ID(), p, network, false, 10) }

	b := newBook(2)
	b.sent(tx.ID(), "a", false)
	b.sent(tx.ID(), "direct", true)
	require.False(t, b.echoed(tx.ID(), "direct", "n9", true, 10), "what it passes on is ours")
	require.False(t, said(b, "a", "n1"), "it has it from us")
	require.False(t, said(b, "b", "n1"))
	require.False(t, said(b, "b", "n2"), "one peer is one")
	require.False(t, said(b, "c", "n1"))
	require.False(t, said(b, "d", "n1"), "all of one network")
	require.False(t, said(b, "e", ""), "nobody knows of which network")
	require.Equal(t, 1, b.open)
	require.True(t, b.echoed(tx.ID(), "a", "n2", true, 10), "whoever relays it to us had it from another first")
	require.Zero(t, b.open)
	require.False(t, said(b, "f", "n3"), "once")
	require.Empty(t, b.due(now, "g", 10))

	b = newBook(1)
	require.False(t, said(b, "a", ""))
	require.False(t, said(b, "b", ""))
	require.True(t, said(b, "c", ""))

	b = newBook(1)
	require.False(t, b.echoed(tx.ID(), "a", "n1", false, 2))
	b.dialled = func() map[peer.ID]bool { return map[peer.ID]bool{"b": true} }
	require.Empty(t, b.sweep(10, 1, func(validation.CheckedTx) bool { return false }), "it may have come here to say so")
	b.dialled = func() map[peer.ID]bool { return nil }
	require.Equal(t, []wire.TxID{tx.ID()}, b.sweep(10, 1, func(validation.CheckedTx) bool { return false }), "only one is connected by now")
	require.Empty(t, b.sweep(10, 1, func(validation.CheckedTx) bool { return false }), "once")

	b = newBook(1)
	require.Empty(t, b.sweep(10, 0, func(validation.CheckedTx) bool { return false }), "nobody is connected, nobody has it")
	b.sweep(10, 0, func(validation.CheckedTx) bool { return true })
	require.Empty(t, b.txs, "it ended")
	require.Empty(t, b.order)
	require.Empty(t, b.byMessage)
	require.Zero(t, b.open)
}

func TestTellingSlowsDown(t *testing.T) {
	l := DefaultLimits()
	l.AnnouncePause, l.AnnouncePauseMax = 2*time.Second, 15*time.Second
	b := newEchoBook(l, 1)
	tx := soundTxs(t, "echo", 1)[0]
	at := time.UnixMilli(1_000_000)
	require.True(t, b.follow(tx, "m", at))
	for _, pause := range []time.Duration{2, 4, 8, 15, 15} {
		require.Len(t, b.due(at, "a", 10), 1)
		b.told(tx.ID(), at)
		require.Empty(t, b.due(at.Add(pause*time.Second-1), "a", 10))
		at = at.Add(pause * time.Second)
	}
}

// What is followed has a bound, and what was echoed makes room. The order of nonces is kept.
func TestEchoBookIsBounded(t *testing.T) {
	txs := soundTxs(t, "echo", 6)
	l := DefaultLimits()
	l.FollowedTxs = 4
	b := newEchoBook(l, 1)
	now := time.UnixMilli(1_000_000)
	for i := range 4 {
		require.True(t, b.follow(txs[i], fmt.Sprint(i), now))
	}
	require.False(t, b.follow(txs[4], "4", now))
	require.True(t, b.follow(txs[0], "0", now), "followed already")
	require.True(t, b.echoed(txs[1].ID(), "a", "n", false, 1))
	require.True(t, b.follow(txs[4], "4", now))
	require.False(t, b.follow(txs[5], "5", now))
	require.Equal(t, []validation.CheckedTx{txs[0], txs[2], txs[3], txs[4]}, b.due(now, "a", 10))
	require.Len(t, b.due(now, "a", 2), 2)
	for p := range 2 * maxSentTo {
		b.sent(txs[0].ID(), peer.ID(fmt.Sprint(p)), false)
	}
	require.Len(t, b.txs[txs[0].ID()].sentTo, maxSentTo)
	require.False(t, b.echoed(txs[0].ID(), "not remembered", "n", false, 1))
}

// TestEchoBookAgainstNaive compares it with the list of all that happened.
func TestEchoBookAgainstNaive(t *testing.T) {
	txs := soundTxs(t, "echo", 3)
	type event struct {
		tx           int
		p            peer.ID
		sent, direct bool
		relayed      bool
	}
	rapid.Check(t, func(t *rapid.T) {
		networks := rapid.IntRange(1, 2).Draw(t, "networks")
		b := newEchoBook(DefaultLimits(), networks)
		for i, tx := range txs {
			b.follow(tx, fmt.Sprint(i), time.UnixMilli(0))
		}
		var past []event
		// told goes through the past of one transaction from its start.
		told := func(tx, connected int) bool {
			var sent, direct, echoed []peer.ID
			groups := map[byte]bool{}
			for _, e := range past {
				switch {
				case e.tx != tx || slices.Contains(echoed, e.p):
				case e.sent:
					sent = append(sent, e.p)
					if e.direct {
						direct = append(direct, e.p)
					}
				case !slices.Contains(direct, e.p) && (e.relayed || !slices.Contains(sent, e.p)):
					echoed = append(echoed, e.p)
					groups[e.p[0]] = true
				}
			}
			return len(echoed) >= min(3, connected) && len(groups) >= networks
		}
		const connected = 5
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			e := event{
				rapid.IntRange(0, 2).Draw(t, "tx"), rapid.SampledFrom([]peer.ID{"a1", "a2", "a3", "b1", "b2"}).Draw(t, "peer"),
				rapid.Bool().Draw(t, "sent"), rapid.Bool().Draw(t, "direct"), rapid.Bool().Draw(t, "relayed"),
			}
			before := told(e.tx, connected)
			past = append(past, e)
			id := txs[e.tx].ID()
			if e.sent {
				b.sent(id, e.p, e.direct)
				continue
			}
			got := b.echoed(id, e.p, string(e.p[:1]), e.relayed, connected)
			if want := !before && told(e.tx, connected); got != want {
				t.Fatalf("told %v, want %v after %v", got, want, past)
			}
		}
		open := 0
		for i := range txs {
			if !told(i, connected) {
				open++
			}
		}
		require.Equal(t, open, b.open)
	})
}

func TestNetworkGroup(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/203.0.113.7/tcp/1":                  "203.0.0.0/16",
		"/ip4/203.0.200.7/udp/1/quic-v1":          "203.0.0.0/16",
		"/ip6/2001:db8:1::1/tcp/1":                "2001:db8::/32",
		"/ip6/::ffff:203.0.113.7/tcp/1":           "203.0.0.0/16",
		"/dns4/example.org/tcp/1":                 "",
		"/ip6zone/eth0/ip6/fe80::1/udp/1/quic-v1": "fe80::/32",
	} {
		a, err := multiaddr.NewMultiaddr(addr)
		require.NoError(t, err)
		require.Equal(t, want, networkGroup(a), addr)
	}
}

func TestAnnounceFrames(t *testing.T) {
	ids := make([]byte, 2*len(wire.TxID{}))
	ids[0], ids[40] = 1, 2
	got, err := announcedIDs(append(announceFrame(ids), 0x10, 7)) // with a field of later versions
	require.NoError(t, err)
	require.Equal(t, []wire.TxID{{1}, {8: 2}}, got)
	for name, bad := range map[string][]byte{
		"nothing":     nil,
		"half an id":  announceFrame(ids[:40]),
		"no ids":      announceFrame(nil),
		"not bytes":   {0x08, 1},
		"cut":         announceFrame(ids)[:20],
		"not a frame": {0xff},
	} {
		_, err := announcedIDs(bad)
		require.ErrorIs(t, err, FrameGarbage, name)
	}
	_, err = announcedIDs(announceFrame(make([]byte, (maxAnnounced+1)*len(wire.TxID{}))))
	require.ErrorIs(t, err, FrameTooMany)
	require.LessOrEqual(t, len(announceFrame(make([]byte, maxAnnounced*len(wire.TxID{})))), maxAnnounce)
	require.LessOrEqual(t, len(announceFrame(newPlaces(maxAnnounced))), maxWant)
	require.LessOrEqual(t, len(announceFrame(make([]byte, wire.MaxTx))), maxPush)

	p := newPlaces(9)
	p.set(0)
	p.set(8)
	p, err = wantedOf(announceFrame(p), 9)
	require.NoError(t, err)
	require.True(t, p.has(0) && p.has(8) && !p.has(1))
	_, err = wantedOf(announceFrame(p), 17)
	require.ErrorIs(t, err, BadAnswer)
}

func FuzzAnnounceFrames(f *testing.F) {
	f.Add(announceFrame(make([]byte, 64)), 2)
	f.Add([]byte{0x0a, 0x00}, 0)
	f.Fuzz(func(t *testing.T, frame []byte, n int) {
		if ids, err := announcedIDs(frame); err == nil && (len(ids) == 0 || len(ids) > maxAnnounced) {
			t.Fatalf("%d ids", len(ids))
		}
		if n %= maxAnnounced + 1; n < 0 {
			n = -n
		}
		if p, err := wantedOf(frame, n); err == nil {
			for i := range n {
				p.has(i)
			}
		}
	})
}

// R120: what has expired is not announced, though it is followed until it is swept away.
func TestExpiredIsNotAnnounced(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	cfg := DefaultConfig()
	cfg.Genesis = &wire.Genesis{Network: "expired"}
	cfg.Now = func() time.Time { return now }
	a := newAnnouncer(cfg, nil)
	txs := soundTxs(t, "announced", 4, func(b *wire.TxBody) {
		if b.Nonce%2 == 0 {
			b.ExpiresAt = uint64(now.Add(time.Second).UnixMilli())
		}
	})
	for _, tx := range txs {
		a.follow(tx, 0)
	}
	later := time.Now().Add(time.Second) // pauses are by the machine's clock
	require.Len(t, a.due(later, "peer"), len(txs))
	now = now.Add(time.Minute)
	due := a.due(later, "peer")
	require.Len(t, due, 2)
	require.Equal(t, []wire.TxID{txs[1].ID(), txs[3].ID()}, []wire.TxID{due[0].ID(), due[1].ID()})
}
