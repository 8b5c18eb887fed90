package overlay_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// foreign is a plain libp2p GossipSub client: nothing of ours but wire.
type foreign struct {
	host  host.Host
	topic *pubsub.Topic
	sub   *pubsub.Subscription
	ctx   context.Context
}

// newForeign joins the transaction topic as the documentation tells it to. A careless
// one has no validator and forwards whatever it gets.
func newForeign(t *testing.T, network wire.NetworkID, careless bool) *foreign {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	h := newHost(t)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		// The node may have it in its mesh before it has the node, and what it publishes
		// then would go to nobody.
		pubsub.WithFloodPublish(true),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			sum := sha256.New()
			sum.Write(network[:])
			sum.Write([]byte(m.GetTopic()))
			sum.Write(m.GetData())
			return string(sum.Sum(nil)[:20])
		}))
	require.NoError(t, err)
	name := "/grapevine/" + network.Short() + "/tx/1"
	if !careless {
		require.NoError(t, ps.RegisterTopicValidator(name, func(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
			tx, err := wire.DecodeTransaction(m.GetData())
			if err != nil {
				return pubsub.ValidationReject
			}
			body, err := wire.DecodeTxBody(tx.Body())
			if err != nil || !wire.VerifyTx(network, body.Sender, tx) {
				return pubsub.ValidationReject
			}
			return pubsub.ValidationAccept
		}))
	}
	f := &foreign{host: h, ctx: ctx}
	f.topic, err = ps.Join(name)
	require.NoError(t, err)
	f.sub, err = f.topic.Subscribe()
	require.NoError(t, err)
	return f
}

func (f *foreign) connect(t *testing.T, n *node) {
	t.Helper()
	require.NoError(t, f.host.Connect(t.Context(), n.addr()))
	eventually(t, func() bool { return n.knows(f.host.ID()) }, "guest at node")
	eventually(t, func() bool { return len(f.topic.ListPeers()) > 0 }, "node on the guest's topic")
	eventually(t, func() bool { return n.peer(f.host.ID()).InTxMesh }, "guest in the mesh")
}

// Issue, "must show" 5.
//
// R30, R31: a plain GossipSub client with the documented ids takes part.
// R33: a peer without hello is a guest.
func TestPlainClientIsAGuest(t *testing.T) {
	g, c := testGenesis("guest"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	b.join(a)
	f := newForeign(t, g.ID(), false)
	f.connect(t, a)
	require.True(t, a.peer(f.host.ID()).Guest)

	heard := transfer(g, "wallet 0", 0)
	b.submit(heard)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := f.sub.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, heard.Bytes(), m.GetData())

	said := transfer(g, "wallet 1", 0)
	require.NoError(t, f.topic.Publish(ctx, said.Bytes()))
	eventually(t, func() bool { return b.chain.has(said.ID()) }, "the guest's transaction, two hops on")
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

func TestHostileTransactionsBlameTheirSenderOnly(t *testing.T) {
	g, c := testGenesis("hostile"), newClock()
	relay, victim := start(t, g, c), start(t, g, c)
	victim.join(relay)
	meshed(t, relay, victim)

	forged := wire.NewTransaction(transfer(g, "wallet 0", 0).Body(), wire.Signature{1})
	stranger := transfer(testGenesis("another"), "wallet 0", 0)
	trailing := append(transfer(g, "wallet 0", 0).Bytes(), 0x18, 1)
	for name, raw := range map[string][]byte{
		"forged signature":  forged.Bytes(),
		"other network":     stranger.Bytes(),
		"unknown field":     trailing,
		"garbage":           {0xff, 1, 2},
		"one byte too long": oversize(t, g),
	} {
		t.Run(name, func(t *testing.T) {
			f := newForeign(t, g.ID(), true)
			f.connect(t, relay)
			before := relay.peer(f.host.ID()).Score
			require.NoError(t, f.topic.Publish(t.Context(), raw))
			eventually(t, func() bool { return len(relay.seen.offencesOf(f.host.ID())) == 1 }, "offence")
			require.Equal(t, peerscore.InvalidTx, relay.seen.offencesOf(f.host.ID())[0])
			eventually(t, func() bool { return relay.peer(f.host.ID()).Score < before }, "its score falls")
			eventually(t, func() bool { return !relay.peer(f.host.ID()).InTxMesh }, "it leaves the mesh")
		})
	}
	require.Zero(t, victim.seen.count(validation.Reject), "nothing of it was passed on")
	require.Zero(t, victim.seen.blamed(), "the honest relay is not blamed")
	require.Empty(t, relay.seen.offencesOf(victim.host.ID()))
}

// oversize is a well signed transaction of one byte more than there may be.
func oversize(t *testing.T, g *wire.Genesis) []byte {
	t.Helper()
	payload := wire.MaxTx
	for {
		tx := transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Payload = make([]byte, payload); b.Fee = balance / 2 })
		if tx.Size() == wire.MaxTx+1 {
			return tx.Bytes()
		}
		payload -= tx.Size() - wire.MaxTx - 1
	}
}

func TestHarmlessTransactionsBlameNobody(t *testing.T) {
	g, c := testGenesis("harmless"), newClock()
	n := start(t, g, c)
	c.slot.Add(1)
	n.add(seal(g, n.chain.Head(), slotOf(c), []*wire.Transaction{transfer(g, "wallet 0", 0)}))
	f := newForeign(t, g.ID(), true)
	f.connect(t, n)
	txs := map[string]*wire.Transaction{
		"stale nonce": transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Fee++ }),
		"overdraft":   transfer(g, "wallet 1", 0, func(b *wire.TxBody) { b.Amount = 2 * balance }),
		"far nonce":   transfer(g, "wallet 2", 1_000_000),
		"low fee":     transfer(g, "wallet 3", 0, func(b *wire.TxBody) { b.Fee = 1 }),
		"expired":     transfer(g, "wallet 4", 0, func(b *wire.TxBody) { b.ExpiresAt = 1 }),
	}
	for name, tx := range txs {
		require.NoError(t, f.topic.Publish(t.Context(), tx.Bytes()), name)
	}
	eventually(t, func() bool { return n.seen.count(validation.Ignore) == len(txs) }, "all are ignored")
	require.Zero(t, n.seen.blamed())
	require.Zero(t, n.seen.count(validation.Reject))
	require.True(t, n.peer(f.host.ID()).InTxMesh)
}

// What a fixed rule refuses may be passed on by mistake, not by the hundred.
//
// R13: a relay is charged for what it could have refused itself, and cut in the end.
func TestAvoidableIsNotAFreeRide(t *testing.T) {
	if testing.Short() {
		t.Skip("slowed by the race detector, the guest's library drops most of what should be charged; the whole tests run it")
	}
	g, c := testGenesis("avoidable"), newClock()
	cheap := func(b *wire.TxBody) { b.Fee = 1 }
	n := start(t, g, c)
	f := newForeign(t, g.ID(), true)
	f.connect(t, n)
	forgiven := overlay.DefaultLimits().AvoidablePerMinute
	pace := time.NewTicker(time.Millisecond) // or the client's own queue overflows
	defer pace.Stop()
	for i := range uint64(forgiven) {
		<-pace.C
		require.NoError(t, f.topic.Publish(t.Context(), transfer(g, "wallet 0", i, cheap).Bytes()))
	}
	eventually(t, func() bool { return n.seen.count(validation.Ignore) == forgiven }, "judged")
	require.Empty(t, n.seen.offencesOf(f.host.ID()), "a mistake")
	for i := uint64(1000); !n.Banned(f.host.ID()); i++ {
		require.Less(t, i, uint64(20_000), "under load the client loses most of them itself")
		require.NoError(t, f.topic.Publish(t.Context(), transfer(g, "wallet 0", i, cheap).Bytes()))
		<-pace.C
	}
	require.Equal(t, peerscore.Avoidable, n.seen.offencesOf(f.host.ID())[0])
	eventually(t, func() bool { return !connected(n.host, f.host) }, "cut")
	require.Zero(t, n.chain.pooled())
}

// What two honest nodes may judge differently costs nothing, however much of it comes.
func TestWhatMayDifferIsFree(t *testing.T) {
	g, c := testGenesis("may differ"), newClock()
	now := uint64(c.now(g).UnixMilli())
	n := start(t, g, c)
	f := newForeign(t, g.ID(), true)
	f.connect(t, n)
	justExpired := func(b *wire.TxBody) { b.ExpiresAt = now - uint64(g.Limits.ClockToleranceMillis)/2 }
	longExpired := func(b *wire.TxBody) { b.ExpiresAt = 1 } // we may have stood still since it was sent
	poor := func(b *wire.TxBody) { b.Amount = 2 * balance }
	const each = 150
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for i := range uint64(each) {
		for _, change := range []func(*wire.TxBody){justExpired, longExpired, poor} {
			require.NoError(t, f.topic.Publish(t.Context(), transfer(g, "wallet 0", i, change).Bytes()))
		}
		<-pace.C
	}
	// The guest's library drops what its own queue has no room for, now and then.
	eventually(t, func() bool { return n.seen.count(validation.Ignore) >= 3*each*9/10 }, "judged: %s", n.tally())
	require.Empty(t, n.seen.offencesOf(f.host.ID()))
	require.Zero(t, n.chain.pooled())
}
