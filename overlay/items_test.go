package overlay_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// Tests of this file are named after the items of docs/threats.md.

// alive says that n still takes what an honest peer sends.
func alive(t *testing.T, n *node, nonce uint64) {
	t.Helper()
	tx := transfer(n.g, "wallet 5", nonce)
	newPuppet(t, n).publish(tx.Bytes())
	eventually(t, func() bool { return n.chain.has(tx.ID()) }, "gossip goes on")
	require.False(t, n.log.has("panic"))
}

// cutSoon says that n disconnects a peer that does something again and again.
func cutSoon(t *testing.T, n *node, p *puppet, again func() bool) {
	t.Helper()
	began := time.Now()
	for !n.Banned(p.ID()) && again() {
		require.Less(t, time.Since(began), 5*time.Second, "not cut yet")
	}
	eventually(t, func() bool { return n.Banned(p.ID()) && !connected(n.host, p) }, "cut")
	require.Less(t, time.Since(began), 5*time.Second)
}

func (p *puppet) subscribe(in bool, topics ...string) bool {
	rpc := new(pb.RPC)
	for _, topic := range topics {
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: &topic, Subscribe: &in})
	}
	return p.send(rpc)
}

func (p *puppet) graft(topics ...string) bool {
	c := new(pb.ControlMessage)
	for _, topic := range topics {
		c.Graft = append(c.Graft, &pb.ControlGraft{TopicID: &topic})
	}
	return p.send(&pb.RPC{Control: c})
}

// leave has p leave the topic as a router does, with a back-off in seconds.
func (p *puppet) leave(backoff uint64) {
	p.subscribe(false, p.topic)
	p.send(&pb.RPC{Control: &pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: &p.topic, Backoff: &backoff}}}})
}

// withoutSubscriptionBudget lets a peer subscribe to as much as it likes, per topics in an RPC: what
// then is not kept, the router does not keep.
func withoutSubscriptionBudget(per int) option {
	const plenty = 1 << 30
	return func(c *overlay.Config) {
		l := &c.Limits
		l.Subscriptions, l.SubscriptionsPerSecond, l.SubscriptionsBurst = per, plenty, plenty
		l.MessagesPerSecond, l.MessagesBurst = plenty, plenty
		l.BytesPerSecond, l.BytesBurst, l.ControlPerSecond, l.ControlBurst = plenty, plenty, plenty, plenty
		// Wishes for what nobody has are charged in the router's own loop: read shows by them that what came before was.
		l.UnknownPerSecond, l.UnknownBurst, l.ChargesForgiven, l.ChargesToCut = 1, 1, 1, 1_000
	}
}

// read waits until n's router has been through all that p sent. It costs p a charge.
func (p *puppet) read(n *node) {
	p.t.Helper()
	before := len(n.seen.offencesOf(p.ID()))
	wishes := make([]string, 3*overlay.DefaultLimits().ShedPerCharge)
	for i := range wishes {
		wishes[i] = fmt.Sprintf("%020d", i)
	}
	require.True(p.t, p.want(wishes...))
	eventually(p.t, func() bool { return len(n.seen.offencesOf(p.ID())) > before }, "all is read")
}

// T7: a peer that never reads holds a bounded queue, and loses its stream in ten seconds.
func TestT7PeerThatNeverReadsIsLetGo(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	const queue, messages = 20, 200
	g, c := testGenesis("never reads"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Gossip.OutboundQueue = queue })
	h := newHost(t)
	h.SetStreamHandler(meshTx, func(network.Stream) {}) // what is buffered stays there
	greet(t, h, n)
	s := gossipStream(t, h, n)
	topic := overlay.TxTopic(g.ID())
	raw, err := proto.Marshal(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &topic, Subscribe: proto.Bool(true)}}})
	require.NoError(t, err)
	_, err = s.Write(frame(raw))
	require.NoError(t, err)
	eventually(t, func() bool { return n.peer(h.ID()).InTxMesh }, "in the mesh")
	open := func() (ids []string) {
		for _, conn := range n.host.Network().ConnsToPeer(h.ID()) {
			for _, s := range conn.GetStreams() {
				if s.Protocol() == meshTx && s.Stat().Direction == network.DirOutbound {
					ids = append(ids, s.ID())
				}
			}
		}
		return ids
	}
	held := open()
	require.Len(t, held, 1)
	began := time.Now()
	for i := range uint64(messages) { // 24 MB, more than any window
		n.submit(heavy(g, fmt.Sprint("wallet ", i%8), i/8))
	}
	require.Less(t, time.Since(began), 10*time.Second, "it holds up nobody for long")
	eventually(t, func() bool { return !slices.Contains(open(), held[0]) }, "its stream is reset")
	took := time.Since(began)
	t.Logf("after %v, with %d messages that did not go into its queue", took, n.seen.lost())
	require.Less(t, took, 15*time.Second)
	require.Greater(t, n.seen.lost(), messages/2, "few are held")
	eventually(t, func() bool { return !n.peer(h.ID()).InTxMesh }, "let go")
}

// T8: streams that are reset in the middle of a message leave nothing behind.
func TestT8ResetsLeaveNothing(t *testing.T) {
	g, c := testGenesis("resets"), newClock()
	n := start(t, g, c)
	before := runtime.NumGoroutine()
	for range 20 { // a connection has a budget of streams: more connections then
		h := greetedHost(t, n)
		for range overlay.DefaultLimits().StreamsPerConn {
			s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
			require.NoError(t, err)
			_, err = s.Write([]byte{0x80, 0x80, 0x04, 1, 2, 3})
			require.NoError(t, err)
			require.NoError(t, s.Reset())
		}
		require.Empty(t, n.seen.offencesOf(h.ID()))
		require.NoError(t, h.Close())
	}
	eventually(t, func() bool { return runtime.NumGoroutine() < before+50 }, "goroutines end")
	alive(t, n, 0)
}

// P1: who sends 1.2 million subscriptions is cut long before the last of them, and kept out.
func TestP1SubscriptionFloodIsCut(t *testing.T) {
	g, c := testGenesis("P1"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	i := 0
	cutSoon(t, n, p, func() bool {
		topics := make([]string, overlay.DefaultLimits().Subscriptions)
		for j := range topics {
			i++
			topics[j] = fmt.Sprint("topic ", i)
		}
		return p.subscribe(true, topics...)
	})
	require.Less(t, i, 1_200_000)
	_ = p.Connect(t.Context(), n.addr())
	eventually(t, func() bool { return !connected(n.host, p) }, "kept out")
	alive(t, n, 0)
}

// P1, R38: where no budget stops them and nobody is cut, 1.2 million subscriptions of a peer that is
// graylisted, and stays connected, cost no memory. The router keeps them before it asks for the score.
func TestP1SubscriptionsOfTheGraylistedAreNotKept(t *testing.T) {
	const count, per = 1_200_000, 1_000
	g, c := testGenesis("P1, graylisted"), newClock()
	n := start(t, g, c, withoutSubscriptionBudget(per), func(c *overlay.Config) {
		c.Gossip.InspectScores = 100 * time.Millisecond
		c.Limits.GraftsPerMinute = 1_000
	})
	p := meshedPuppet(t, n)
	p.leave(60)
	for range 30 { // in its back-off; of few peers none is cut for what the router makes of that
		require.True(t, p.graft(p.topic))
	}
	graylisted := func() bool {
		s, _ := n.Score(p.ID())
		return s.Tx < overlay.DefaultConfig().Score.Thresholds.Graylist
	}
	eventually(t, graylisted, "graylisted")

	before := liveHeap()
	for i := range count / per {
		topics := make([]string, per)
		for j := range topics {
			topics[j] = fmt.Sprint("topic ", i*per+j)
		}
		require.True(t, p.subscribe(true, topics...))
		if (i+1)%(count/per/4) == 0 { // what waits to be read is several MiB otherwise
			p.read(n)
		}
	}
	eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept")
	require.True(t, graylisted())
	require.True(t, connected(n.host, p))
	alive(t, n, 0)
}

// P2: elements of two bytes are counted before they become objects.
func TestP2EmptyElementsCostLittle(t *testing.T) {
	const count = 262_144
	g, c := testGenesis("P2"), newClock()
	n := start(t, g, c)
	entries := func(field byte) []byte { return bytes.Repeat([]byte{field<<3 | 2, 0}, count) }
	control := func(b []byte) []byte { return protowire.AppendBytes([]byte{3<<3 | 2}, b) }
	for name, bomb := range map[string][]byte{
		"subscriptions": entries(1), "messages": entries(2), "control": entries(3), "announcements": control(entries(1)),
		"ids": control(protowire.AppendBytes([]byte{1<<3 | 2}, bytes.Repeat([]byte{2<<3 | 2, 0}, count))),
	} {
		t.Run(name, func(t *testing.T) {
			h := greetedHost(t, n)
			before := liveHeap()
			var most int64
			s := gossipStream(t, h, n)
			_, _ = s.Write(frame(bomb))
			eventually(t, func() bool {
				most = max(most, liveHeap()-before)
				return len(n.seen.offencesOf(h.ID())) > 0
			}, "blamed")
			require.Less(t, most, int64(2*len(bomb)+1<<20), "beside the frame, which is held at both ends")
			eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept")
		})
	}
	alive(t, n, 0)
}

// P3: who joins and leaves a topic a thousand times a second is cut.
func TestP3FlappingSubscriptionsAreCut(t *testing.T) {
	g, c := testGenesis("P3"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	in := false
	cutSoon(t, n, p, func() bool {
		in = !in
		return p.subscribe(in, p.topic)
	})
	alive(t, n, 0)
}

// P4: topics of 64 KiB, or that are no text, are not kept while their peer is connected; one without
// a name takes next to nothing, and harms nobody.
func TestP4StrangeTopicsAreNotKept(t *testing.T) {
	g, c := testGenesis("P4"), newClock()
	n := start(t, g, c, withoutSubscriptionBudget(overlay.DefaultLimits().Subscriptions))
	for name, kind := range map[string]struct {
		count int // kept, they were several MiB
		topic func(i int) string
	}{
		"64 KiB":  {100, func(i int) string { return strings.Repeat("t", 64<<10-i) }},
		"no text": {5_000, func(i int) string { return fmt.Sprintf("\xff\xfe%01000d", i) }},
		"no name": {5, func(int) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet(t, n)
			before := liveHeap()
			for i := range kind.count { // by hand: the encoder refuses what is no text
				sub := protowire.AppendBytes([]byte{1 << 3, 1, 2<<3 | 2}, []byte(kind.topic(i)))
				_, err := p.out.Write(frame(protowire.AppendBytes([]byte{1<<3 | 2}, sub)))
				require.NoError(t, err)
			}
			p.read(n)
			eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept")
			require.True(t, connected(n.host, p))
		})
	}
	alive(t, n, 0)
}

// P5: of what is announced and never sent a bounded part is asked for, and it costs the
// announcer its score.
func TestP5BrokenPromisesCost(t *testing.T) {
	g, c := testGenesis("P5"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Gossip.InspectScores = 100 * time.Millisecond })
	p := newPuppet(t, n)
	asks := func() (sum int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, times := range p.asked {
			sum += times
		}
		return sum
	}
	const list = 2000
	for i := range 2 { // who goes on so is over its budget (R128)
		ids := make([]string, list)
		for j := range ids {
			ids[j] = fmt.Sprintf("%020d", i*len(ids)+j)
		}
		require.True(t, p.announce(ids...))
	}
	eventually(t, func() bool { return asks() > 0 }, "asked")
	for i := range 40 { // further promises, one at a time
		require.True(t, p.announce(fmt.Sprintf("%020d", 1_000_000+i)))
		time.Sleep(100 * time.Millisecond)
	}
	eventually(t, func() bool { return n.peer(p.ID()).Score < 0 }, "the score falls")
	// 256 of each list (R128), and one of each further promise.
	require.LessOrEqual(t, asks(), 2*256+40)
	require.True(t, connected(n.host, p))
	require.Empty(t, n.seen.offencesOf(p.ID()))
}

// P9: who sends GRAFT of topics that we are not in, or of 64 KiB, is cut.
func TestP9StrangeGraftsAreCut(t *testing.T) {
	g, c := testGenesis("P9"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	i := 0
	cutSoon(t, n, p, func() bool {
		i++
		return p.graft(fmt.Sprint("unknown ", i), strings.Repeat("x", 60<<10))
	})
	require.False(t, n.peer(p.ID()).InTxMesh)
	alive(t, n, 0)
}

// P9: where no budget stops it and nobody is cut, nothing is kept of such GRAFTs, while they come. Who
// grafts our own topic without having said that it is in it is in the mesh, as the router has it, for as
// long as it is connected.
func TestP9StrangeGraftsAreNotKept(t *testing.T) {
	g, c := testGenesis("P9, without budget"), newClock()
	n := start(t, g, c, withoutSubscriptionBudget(overlay.DefaultLimits().Subscriptions), func(c *overlay.Config) { c.Limits.GraftsPerMinute = 1 << 30 })
	for name, kind := range map[string]struct {
		rpcs, per int // kept, they were 12 MiB at least
		topic     func(i int) string
	}{
		"unknown": {240, 500, func(i int) string { return fmt.Sprint("unknown ", i) }},
		"64 KiB":  {200, 1, func(i int) string { return strings.Repeat("t", 64<<10-i) }},
		"no text": {200, 100, func(i int) string { return fmt.Sprintf("\xff\xfe%01000d", i) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet(t, n)
			before := liveHeap()
			for i := range kind.rpcs {
				topics := make([]string, kind.per)
				for j := range topics {
					topics[j] = kind.topic(i*kind.per + j)
				}
				require.True(t, p.graft(topics...))
				if (i+1)%(kind.rpcs/4) == 0 {
					p.read(n)
					eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing is kept of %d", (i+1)*kind.per)
				}
			}
			require.True(t, connected(n.host, p))
			require.False(t, n.peer(p.ID()).InTxMesh)
		})
	}
	p, subscriber := newPuppet(t, n), newPuppet(t, n) // to a topic that nobody is in nothing is sent
	subscriber.subscribe(true, p.topic)
	require.True(t, p.graft(p.topic))
	eventually(t, func() bool { return n.peer(p.ID()).InTxMesh && n.peer(subscriber.ID()).InTxMesh }, "a mesh link")
	n.submit(transfer(g, "wallet 0", 0))
	eventually(t, func() bool { return p.received() == 1 }, "sent what the mesh is sent")
	require.NoError(t, p.Close())
	eventually(t, func() bool { return !n.knows(p.ID()) }, "gone")
	alive(t, n, 0)
}

// P10, R89, R153: a client that leaves the topic, comes back at once and grafts again, in the back-off,
// three times over a connection, is kept out for as long as it is told, and is not punished.
func TestP10HonestReturnIsNotPunished(t *testing.T) {
	g, c := testGenesis("P10"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Gossip.InspectScores = 100 * time.Millisecond })
	p := meshedPuppet(t, n)
	const returns = 3
	for i := range returns {
		p.leave(1) // raised to eight seconds
		eventually(t, func() bool { return !n.peer(p.ID()).InTxMesh }, "left")
		p.subscribe(true, p.topic)
		p.graft(p.topic)
		eventually(t, func() bool { return len(p.backoffs()) == i+1 }, "refused")
		require.Equal(t, 8*time.Second, p.backoffs()[i])
	}
	told := time.Now()
	never(t, func() bool { return n.peer(p.ID()).InTxMesh || n.peer(p.ID()).Score < 0 || !connected(n.host, p) },
		8*time.Second-time.Since(told), pulse)
	time.Sleep(100 * time.Millisecond) // seconds of a back-off are whole ones
	p.graft(p.topic)
	eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "back")
	require.Empty(t, n.seen.offencesOf(p.ID()))
	require.Less(t, time.Since(told), 10*time.Second, "by its own GRAFT")
}

// P10, R86: who grafts in the back-off again and again is not taken into the mesh, and is cut; nobody
// else hears anything of it.
func TestP10StormOfGraftsIsCut(t *testing.T) {
	g, c := testGenesis("P10, a storm"), newClock()
	n, honest := start(t, g, c), start(t, g, c)
	honest.join(n)
	meshed(t, n, honest)
	p := meshedPuppet(t, n)
	p.leave(60)
	eventually(t, func() bool { return !n.peer(p.ID()).InTxMesh }, "left")
	p.subscribe(true, p.topic)
	grafts := 0
	cutSoon(t, n, p, func() bool {
		require.False(t, n.peer(p.ID()).InTxMesh)
		time.Sleep(time.Millisecond)
		grafts++
		return p.graft(p.topic)
	})
	t.Logf("cut after %d", grafts)
	require.True(t, connected(n.host, honest.host))
	require.True(t, n.peer(honest.host.ID()).InTxMesh)
	require.Empty(t, n.seen.offencesOf(honest.host.ID()))
	require.GreaterOrEqual(t, n.peer(honest.host.ID()).Score, 0.0)
	alive(t, n, 0)
}

// R111: who finds no room in a mesh may ask again after eight seconds, and loses nothing.
func TestNoRoomIsNoReasonToStayAwayForLong(t *testing.T) {
	g, c := testGenesis("no room"), newClock()
	n := start(t, g, c, func(c *overlay.Config) {
		c.Gossip.D, c.Gossip.Dlo, c.Gossip.Dhi, c.Gossip.Dout, c.Gossip.Dscore = 2, 1, 2, 0, 1
	})
	for range 2 {
		p := newPuppet(t, n)
		p.subscribe(true, p.topic)
		p.graft(p.topic)
		eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")
	}
	late := newPuppet(t, n)
	late.subscribe(true, late.topic)
	late.graft(late.topic)
	eventually(t, func() bool { return len(late.backoffs()) > 0 }, "pruned")
	require.Equal(t, []time.Duration{8 * time.Second}, late.backoffs())
	require.False(t, n.peer(late.ID()).InTxMesh)
	require.Zero(t, n.peer(late.ID()).Score)
}

// P13: what a peer does not want it is not sent; others get it.
func TestP13DontWantConcernsItsSenderOnly(t *testing.T) {
	g, c := testGenesis("P13"), newClock()
	n, honest := start(t, g, c), start(t, g, c)
	honest.join(n)
	meshed(t, n, honest)
	p := meshedPuppet(t, n)
	tx := transfer(g, "wallet 0", 0)
	id := idOf(g, tx)
	p.send(&pb.RPC{Control: &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: []string{id}}}}})
	other := transfer(g, "wallet 1", 0)
	p.publish(other.Bytes()) // read behind it
	eventually(t, func() bool { return n.chain.has(other.ID()) }, "read")
	n.submit(tx)
	eventually(t, func() bool { return honest.chain.has(tx.ID()) }, "others get it")
	never(t, func() bool { return p.received() > 0 }, 500*time.Millisecond, pulse)

	ids := make([]string, 1000) // more than a thousand a heartbeat are not kept
	before := liveHeap()
	for i := range 50 {
		for j := range ids {
			ids[j] = fmt.Sprintf("%020d", i*len(ids)+j)
		}
		p.send(&pb.RPC{Control: &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: ids}}}})
	}
	alive(t, n, 0)
	eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "little is kept")
}

// P16: what belongs to extensions that are off is passed over.
func TestP16DisabledExtensionsAreIgnored(t *testing.T) {
	g, c := testGenesis("P16"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	on := true // said once: who repeats it is graylisted
	require.True(t, p.send(&pb.RPC{Control: &pb.ControlMessage{Extensions: &pb.ControlExtensions{PartialMessages: &on, TestExtension: &on}}}))
	for range 3 {
		require.True(t, p.send(&pb.RPC{
			Partial: &pb.PartialMessagesExtension{TopicID: &p.topic, GroupID: []byte("group"), PartialMessage: make([]byte, 64<<10)},
		}))
	}
	tx := transfer(g, "wallet 0", 0)
	require.True(t, p.publish(tx.Bytes()))
	eventually(t, func() bool { return n.chain.has(tx.ID()) }, "what comes behind is read")
	require.False(t, n.log.has("panic"))
}

// P20: the id of a message covers network, topic and every byte of it.
func TestP20MessageIDsDoNotMeet(t *testing.T) {
	g := testGenesis("P20")
	data := transfer(g, "wallet 0", 0).Bytes()
	ids := map[string]bool{
		overlay.MessageID(g.ID(), "a", data):                                  true,
		overlay.MessageID(g.ID(), "b", data):                                  true,
		overlay.MessageID(testGenesis("other").ID(), "a", data):               true,
		overlay.MessageID(g.ID(), "a", append(data[:len(data):len(data)], 0)): true,
	}
	require.Len(t, ids, 4)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		ids[overlay.MessageID(g.ID(), "a", changed)] = true
	}
	require.Len(t, ids, 4+len(data))
}

// P21: who sends us back what it got from us earns nothing by it; who is first does.
func TestP21EchoesEarnNothing(t *testing.T) {
	g, c := testGenesis("P21"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Gossip.InspectScores = 100 * time.Millisecond })
	mirror, source := newPuppet(t, n), newPuppet(t, n)
	for _, p := range []*puppet{mirror, source} {
		p.subscribe(true, p.topic)
		eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")
	}
	for i := range 10 {
		ours, theirs := transfer(g, "wallet 0", uint64(i)), transfer(g, "wallet 1", uint64(i))
		n.submit(ours)
		source.publish(theirs.Bytes())
		eventually(t, func() bool { return mirror.received() == 2*(i+1) }, "both come")
		mirror.publish(ours.Bytes())
		mirror.publish(theirs.Bytes())
	}
	earned := func(p *puppet) float64 {
		s, known := n.Score(p.ID())
		require.True(t, known)
		return s.Tx
	}
	eventually(t, func() bool { return earned(source) > 0 }, "it was first")
	require.Zero(t, earned(mirror))
}

// P28: coming back refills no budget.
func TestP28ReconnectingRefillsNothing(t *testing.T) {
	g, c := testGenesis("P28"), newClock()
	n := start(t, g, c, func(c *overlay.Config) {
		c.Limits.MessagesPerSecond, c.Limits.MessagesBurst = 1, 100
		c.Limits.ShedPerCharge, c.Limits.ChargesForgiven, c.Limits.ChargesToCut = 50, 1, 1
	})
	h := newHost(t)
	var batch [][]byte
	for range 60 {
		batch = append(batch, transfer(g, "wallet 0", 0).Bytes())
	}
	for life := 0; !n.Banned(h.ID()); life++ {
		require.Less(t, life, 10, "not cut")
		greet(t, h, n)
		s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
		require.NoError(t, err)
		_, err = s.Write(rpcOf(t, g, batch...))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		<-ctx.Done() // it is read
		cancel()
		_ = h.Network().ClosePeer(n.host.ID())
		eventually(t, func() bool { return !connected(n.host, h) }, "gone")
	}
}

// P28: coming back restores no score. Who broke promises, of which only the router knows, and is back on
// another connection within the minute is held to be no better than before.
func TestP28ReturningRestoresNoScore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("P28, a score"), newClock()
		const look = 100 * time.Millisecond
		n := startOn(t, q.host(t, 0), newChain(t, g, c), func(c *overlay.Config) { c.Gossip.InspectScores = look })
		p := newPuppetOn(t, q.host(t, 1), n, meshTx)
		for i := range 12 {
			require.True(t, p.announce(fmt.Sprintf("%020d", i)))
			time.Sleep(time.Second / 5) // the router takes ten lists a heartbeat
		}
		time.Sleep(5 * time.Second) // three are given to keep a promise
		before := n.peer(p.ID()).Score
		require.Negative(t, before)

		require.NoError(t, p.Network().ClosePeer(n.host.ID()))
		eventually(t, func() bool { return !n.knows(p.ID()) }, "gone")
		time.Sleep(40 * time.Second)
		greet(t, p.Host, n)
		p.out = gossipStream(t, p.Host, n)
		require.True(t, p.subscribe(true, p.topic))
		time.Sleep(5 * look)
		t.Logf("%.1f, and %.1f afterwards", before, n.peer(p.ID()).Score)
		require.Less(t, n.peer(p.ID()).Score, before/2, "it fades by the second only")
		never(t, func() bool { return n.peer(p.ID()).Score >= 0 || n.peer(p.ID()).InTxMesh }, 3*time.Second, look)
		require.True(t, connected(n.host, p))
		require.Empty(t, n.seen.offencesOf(p.ID()))
	})
}
