package overlay_test

import (
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Tests of this file try items of docs/threats.md on IHAVE, PRUNE, IDONTWANT and on what is urgent.

// heavy is a transaction of almost the largest size.
func heavy(g *wire.Genesis, wallet string, nonce uint64) *wire.Transaction {
	return transfer(g, wallet, nonce, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, 120<<10), 1<<20 })
}

// simulated starts a network in virtual time.
func simulated(t *testing.T) *quietNet {
	q := newQuietNet(1, 0)
	q.Start()
	t.Cleanup(q.Close)
	return q
}

// P6, R86, R87: ids that no message has are not asked for, and one that is announced again and again,
// in one list, in many, in many RPCs and by another peer, is asked for once.
func TestP6MalformedAnnouncementsAreNotAskedFor(t *testing.T) {
	g, c := testGenesis("P6"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.PullPatience = 2 * patience }) // nobody is asked in the place of another
	p, other := newPuppet(t, n), newPuppet(t, n)
	id := strings.Repeat("\x00", 20)
	strange := []string{"", "short", id[1:], id + "\x00", strings.Repeat("long", 1<<10)}

	require.True(t, p.announce()) // a list of nothing
	require.True(t, p.announce(strange...))
	require.True(t, p.announce(append(strange, id, id, id)...))
	list := &pb.ControlIHave{TopicID: &p.topic, MessageIDs: []string{id, "", id}}
	require.True(t, p.send(&pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{list, {TopicID: &p.topic}, {}, list}}}))
	for range 3 {
		require.True(t, p.announce(id))
	}
	eventually(t, func() bool { return p.askedFor(id) > 0 }, "what is well formed is asked for")
	require.True(t, other.announce(id))
	last := strings.Repeat("last", 5) // what comes behind it on a stream shows that it was read
	require.True(t, p.announce(last))
	eventually(t, func() bool { return p.askedFor(last) == 1 }, "all is read")
	never(t, func() bool { return p.askedFor(id) > 1 || other.askedFor(id) > 0 }, time.Second, pulse)
	p.mu.Lock()
	require.ElementsMatch(t, []string{id, last}, slices.Collect(maps.Keys(p.asked)))
	p.mu.Unlock()
	require.Zero(t, n.seen.blamed())

	for name, ids := range map[string][]string{
		"empty": slices.Repeat([]string{""}, 1000), "short": slices.Repeat([]string{"short"}, 1000), "the same": slices.Repeat([]string{id}, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			p, before := newPuppet(t, n), liveHeap()
			cutSoon(t, n, p, func() bool { return p.announce(ids...) })
			eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept")
		})
	}
	alive(t, n, 0)
}

// P11, R86, R153: what a peer says of how long it stays out of our mesh is raised to what the router
// gives whoever is sent away, and lowered to an hour. Who is in no mesh of ours says nothing of it.
func TestP11BackoffIsClamped(t *testing.T) {
	g, c := testGenesis("P11"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	prune := func(meshed bool, backoff *uint64) []*pb.ControlPrune {
		_, control := overlay.Inspect(n.Overlay, p.ID(), meshed, nil, &pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: &p.topic, Backoff: backoff}}})
		return control.GetPrune()
	}
	for says, want := range map[uint64]uint64{
		0: 0, // the router's own then
		1: 8, 7: 8, 8: 8, 9: 9, 60: 60, 3600: 3600, 3601: 3600,
		1 << 31: 3600, 1 << 62: 3600, 1 << 63: 3600, math.MaxUint64: 3600,
	} {
		require.Equal(t, want, prune(true, &says)[0].GetBackoff(), "%d", says)
		require.Empty(t, prune(false, &says), "%d", says)
	}
	require.Zero(t, prune(true, nil)[0].GetBackoff())
	require.Zero(t, n.seen.blamed())
}

// P11: the same over real streams, by when the router takes each peer into the mesh again, in virtual
// time. Who comes back on another connection meanwhile is out of it for as long.
func TestP11RouterWaitsForAnHourAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("P11, an hour"), newClock()
		const beat = 200 * time.Millisecond
		// The router looks every fifteen heartbeats for what is over for two seconds.
		const slack = 2*time.Second + 16*beat
		n := startOn(t, q.host(t, 0), newChain(t, g, c), func(c *overlay.Config) {
			c.Gossip.Heartbeat, c.Gossip.BlockHeartbeat = beat, beat
		})
		type stay struct {
			*puppet
			says uint64
			want time.Duration
			back time.Duration
		}
		var stays []*stay
		for i, s := range []stay{
			{says: 0, want: 8 * time.Second},
			{says: 1, want: 8 * time.Second},
			{says: 1 << 31, want: time.Hour},
			{says: 1 << 63, want: time.Hour},
			{says: math.MaxUint64, want: time.Hour},
		} {
			s.puppet = newPuppetOn(t, q.host(t, i+1), n, meshTx)
			s.subscribe(true, s.topic)
			s.graft(s.topic)
			eventually(t, func() bool { return n.peer(s.ID()).InTxMesh }, "grafted")
			stays = append(stays, &s)
		}
		for _, s := range stays {
			require.True(t, s.prune(s.says))
		}
		began := time.Now()
		time.Sleep(500 * time.Millisecond)
		for _, s := range stays {
			require.False(t, n.peer(s.ID()).InTxMesh, "%d", s.says)
		}
		watch := func(until time.Duration) {
			for ; time.Since(began) < until; time.Sleep(beat) {
				for _, s := range stays {
					if s.back == 0 && n.peer(s.ID()).InTxMesh {
						s.back = time.Since(began)
					}
				}
			}
		}
		watch(time.Minute)
		again := stays[len(stays)-1]
		require.NoError(t, again.Network().ClosePeer(n.host.ID()))
		eventually(t, func() bool { return !n.knows(again.ID()) }, "gone")
		greet(t, again.Host, n)
		again.out = gossipStream(t, again.Host, n)
		again.subscribe(true, again.topic)
		watch(time.Hour + 2*slack)
		for _, s := range stays {
			t.Logf("%d: back after %v", s.says, s.back)
			require.GreaterOrEqual(t, s.back, s.want, "%d", s.says)
			require.LessOrEqual(t, s.back, s.want+slack, "%d", s.says)
		}
		require.Zero(t, n.seen.blamed())
	})
}

// bait is what hears whoever dials it.
func bait(t *testing.T) (at multiaddr.Multiaddr, heard *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	heard = new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			heard.Add(1)
			_ = conn.Close()
		}
	}()
	at, err = manet.FromNetAddr(l.Addr())
	require.NoError(t, err)
	return at, heard
}

// stranger is a key and the id of a peer that is nowhere else.
func stranger(t *testing.T) (crypto.PrivKey, peer.ID) {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(k)
	require.NoError(t, err)
	return k, id
}

// offer is what a PRUNE offers of a peer: its addresses, in a record that a key signs.
func offer(t *testing.T, k crypto.PrivKey, id peer.ID, seq uint64, at ...multiaddr.Multiaddr) *pb.PeerInfo {
	t.Helper()
	envelope, err := record.Seal(&peer.PeerRecord{PeerID: id, Addrs: at, Seq: seq}, k)
	require.NoError(t, err)
	raw, err := envelope.Marshal()
	require.NoError(t, err)
	return &pb.PeerInfo{PeerID: []byte(id), SignedPeerRecord: raw}
}

// P12, R86: of the peers that a PRUNE offers none is taken, whoever signed their records, also where
// scores would have the sender believed: nobody is dialled, and nothing of it is kept.
func TestP12OfferedPeersAreNotTaken(t *testing.T) {
	const count = 10_000
	g, c := testGenesis("P12"), newClock()
	n := start(t, g, c, func(c *overlay.Config) {
		c.Score.Thresholds.AcceptPX = 1e-9
		c.Gossip.InspectScores = 100 * time.Millisecond
	})
	at, heard := bait(t)
	own := func(seq uint64, at ...multiaddr.Multiaddr) *pb.PeerInfo {
		k, id := stranger(t)
		return offer(t, k, id, seq, at...)
	}
	forger, _ := stranger(t)
	forged := own(1, at)
	forged.SignedPeerRecord[len(forged.SignedPeerRecord)-1] ^= 1
	_, other := stranger(t)
	_, known := stranger(t)
	n.host.Peerstore().AddAddr(known, at, time.Hour)
	var many []*pb.PeerInfo
	for range count {
		_, id := stranger(t)
		many = append(many, &pb.PeerInfo{PeerID: []byte(id)})
	}
	private := own(1, at, multiaddr.StringCast("/ip4/10.0.0.1/tcp/22"), multiaddr.StringCast("/ip4/169.254.169.254/tcp/80"))
	nonce := uint64(0)
	for name, peers := range map[string][]*pb.PeerInfo{
		"10,000":              many,
		"10,000 times one":    slices.Repeat([]*pb.PeerInfo{{PeerID: []byte(known)}}, count),
		"signed":              {own(uint64(time.Now().UnixNano()), at)},
		"private":             {private},
		"of long ago":         {own(0, at)},
		"signed by another":   {offer(t, forger, other, 1, at)},
		"of another":          {{PeerID: []byte(other), SignedPeerRecord: own(1, at).GetSignedPeerRecord()}},
		"a broken signature":  {forged},
		"garbage":             {{PeerID: []byte("peer"), SignedPeerRecord: []byte("record")}, {}},
		"known, and unsigned": {{PeerID: []byte(known)}},
		"self":                {offer(t, forger, n.host.ID(), math.MaxUint64, at), {PeerID: []byte(n.host.ID())}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet(t, n)
			p.subscribe(true, p.topic)
			p.graft(p.topic)
			eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")
			p.publish(transfer(g, "wallet 0", nonce).Bytes())
			nonce++
			eventually(t, func() bool {
				s, _ := n.Score(p.ID())
				return s.Tx > 0
			}, "it has earned something")
			before, dialled := liveHeap(), heard.Load()
			require.True(t, p.prune(60, peers...))
			eventually(t, func() bool { return !n.peer(p.ID()).InTxMesh }, "it is heard")
			never(t, func() bool { return heard.Load() > dialled }, 300*time.Millisecond, pulse, "dialled")
			eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept")
			for _, offered := range peers {
				if id := peer.ID(offered.GetPeerID()); id != known && id != n.host.ID() {
					require.Empty(t, n.host.Peerstore().Addrs(id))
				}
			}
			require.Empty(t, n.seen.offencesOf(p.ID()))
			require.NoError(t, p.Close())
		})
	}
	alive(t, n, 0)
}

// P14: who forbids a message, and then asks for it, does not get it until the router has forgotten, and
// then as often as who asks again and again. Others get theirs, and who makes a habit of it is cut.
func TestP14WhatIsForbiddenAndAskedForCostsItsSenderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("P14"), newClock()
		const beat = 2 * time.Second // of three the router remembers what is forbidden
		n := startOn(t, q.host(t, 0), newChain(t, g, c), func(c *overlay.Config) { c.Gossip.Heartbeat, c.Gossip.HistoryLength = beat, 60 })
		honest := startOn(t, q.host(t, 1), newChain(t, g, c))
		honest.join(n)
		meshed(t, n, honest)
		p, asker := newPuppetOn(t, q.host(t, 2), n, meshTx), newPuppetOn(t, q.host(t, 3), n, meshTx)
		p.subscribe(true, p.topic)
		eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")

		tx := heavy(g, "wallet 0", 0)
		id := idOf(g, tx)
		p.forbid(id)
		time.Sleep(500 * time.Millisecond) // it is there
		n.submit(tx)
		p.want(id)
		asker.want(id)
		eventually(t, func() bool { return honest.chain.has(tx.ID()) && asker.received() == 1 }, "others get it")
		never(t, func() bool { return p.received() > 0 }, time.Second, pulse)

		time.Sleep(3 * beat)
		const asks = 3 // of a peer for one message; one was in vain
		for range 2 * asks {
			p.want(id)
			time.Sleep(500 * time.Millisecond)
		}
		require.Equal(t, asks-1, p.received())
		require.Equal(t, 1, asker.received())
		require.Zero(t, n.seen.blamed())

		cutSoon(t, n, p, func() bool {
			time.Sleep(time.Millisecond)
			return p.forbid(id) && p.want(slices.Repeat([]string{id}, 20)...)
		})
		next := transfer(g, "wallet 1", 0)
		n.submit(next)
		eventually(t, func() bool { return honest.chain.has(next.ID()) }, "gossip goes on")
		require.Empty(t, n.seen.offencesOf(honest.host.ID()))
		require.Empty(t, n.seen.offencesOf(asker.ID()))
	})
}

// P19: while the queue to a peer is full, the router drops what it has to tell it. Once the peer reads
// again, GRAFT and PRUNE come within some heartbeats, so that both agree on who is in whose mesh;
// IDONTWANT does not come any more, and only a copy that nobody needs is lost by it.
func TestP19UrgentControlIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("P19"), newClock()
		const queue, messages = 4, 40
		n := startOn(t, q.host(t, 0), newChain(t, g, c), func(c *overlay.Config) { c.Gossip.OutboundQueue, c.Gossip.HistoryLength = queue, 60 })
		honest := startOn(t, q.host(t, 1), newChain(t, g, c))
		honest.join(n)
		meshed(t, n, honest)
		var ids []string
		for i := range uint64(messages) {
			tx := heavy(g, fmt.Sprint("wallet ", i%7), i/7)
			ids = append(ids, idOf(g, tx))
			n.submit(tx)
		}
		eventually(t, func() bool { return honest.chain.pooled() == len(ids) }, "published")
		p := newPuppetOn(t, q.host(t, 2), n, protocol.ID("/meshsub/1.2.0"))
		// fill has p read nothing more, and ask for messages until nothing more goes into the queue to it.
		fill := func() {
			p.deaf.Store(true)
			for full := 0; full < 4; {
				lost := n.seen.lost()
				p.want(ids[0])
				ids = append(ids[1:], ids[0])
				time.Sleep(200 * time.Millisecond) // a round trip takes no longer
				full++
				if n.seen.lost() == lost {
					full = 0
				}
			}
		}
		// Three heartbeats, and what waits in the queue.
		const soon = 3 * time.Second
		reads := func(ok func() bool) {
			began := time.Now()
			p.deaf.Store(false)
			eventually(t, ok, "it comes")
			t.Logf("after %v", time.Since(began))
			require.Less(t, time.Since(began), soon)
		}

		fill()
		p.subscribe(true, p.topic)
		eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "it is in our mesh, and does not know")
		unspared := transfer(g, "wallet 7", 0, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, 4<<10), 1<<20 })
		lost := n.seen.lost()
		honest.submit(unspared)
		eventually(t, func() bool { return n.chain.has(unspared.ID()) && n.seen.lost() > lost }, "neither IDONTWANT nor message goes in")
		require.Zero(t, p.grafted())
		reads(func() bool { return p.grafted() == 1 })

		spared := transfer(g, "wallet 7", 1, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, 4<<10), 1<<20 })
		honest.submit(spared)
		eventually(t, func() bool { return p.spares(idOf(g, spared)) }, "it is told of the next")
		require.False(t, p.spares(idOf(g, unspared)), "and of this never")
		p.publish(unspared.Bytes())

		fill()
		p.prune(1)
		eventually(t, func() bool { return !n.peer(p.ID()).InTxMesh }, "left")
		p.graft(p.topic) // in the back-off
		time.Sleep(time.Second)
		require.Empty(t, p.backoffs())
		reads(func() bool { return len(p.backoffs()) == 1 })
		time.Sleep(time.Second)
		require.Equal(t, []time.Duration{8 * time.Second}, p.backoffs())
		require.Equal(t, 1, p.grafted())
		require.False(t, n.peer(p.ID()).InTxMesh, "as it was told")
		require.True(t, connected(n.host, p))
		require.Zero(t, n.seen.blamed())
	})
}
