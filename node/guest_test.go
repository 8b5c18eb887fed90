package node_test

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

// TestAGuestsTransactionReachesABlock joins the network of two real nodes with
// a plain GossipSub client, which knows of ours only wire and the documents. It
// hears a transaction of the node that it does not know, and what it publishes
// is in a block that this node holds.
//
// R30, R31: a plain GossipSub client with the documented ids takes part.
// R33: a peer without hello is welcome on the transaction topic.
func TestAGuestsTransactionReachesABlock(t *testing.T) {
	producers := keys(1)
	g := genesisOf("guest", producers...)
	near := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, producers[0]), vfs.NewMem())
	cfg.Bootstrap = []string{near.addr()}
	far := start(t, cfg)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	topic, heard := plainClient(t, ctx, g.ID(), near.addr())
	eventually(t, "the guest in the mesh, and nobody else missing", func() bool {
		peers, err := near.Backend().Peers(ctx)
		require.NoError(t, err)
		meshed := 0
		for _, p := range peers {
			if p.InTxMesh {
				meshed++
			}
		}
		return meshed == 2
	})

	theirs := payment(g, 0, 0)
	far.submit(theirs)
	m, err := heard.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, theirs.Bytes(), m.GetData())

	ours := payment(g, 1, 0)
	require.NoError(t, topic.Publish(ctx, ours.Bytes()))
	for _, n := range []*running{near, far} {
		eventually(t, "the guest's transaction in a block", func() bool { return n.settled([]*wire.Transaction{ours}) })
	}
	require.NoError(t, near.end())
	require.NoError(t, far.end())
}

// plainClient joins the transaction topic as docs/protocol.md tells it to.
func plainClient(t *testing.T, ctx context.Context, network wire.NetworkID, at string) (*pubsub.Topic, *pubsub.Subscription) {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			sum := sha256.New()
			sum.Write(network[:])
			sum.Write([]byte(m.GetTopic()))
			sum.Write(m.GetData())
			return string(sum.Sum(nil)[:20])
		}))
	require.NoError(t, err)
	name := "/grapevine/" + network.Short() + "/tx/1"
	require.NoError(t, ps.RegisterTopicValidator(name, func(_ context.Context, _ peer.ID, m *pubsub.Message) bool {
		tx, err := wire.DecodeTransaction(m.GetData())
		if err != nil {
			return false
		}
		body, err := wire.DecodeTxBody(tx.Body())
		return err == nil && wire.VerifyTx(network, body.Sender, tx)
	}))
	topic, err := ps.Join(name)
	require.NoError(t, err)
	heard, err := topic.Subscribe()
	require.NoError(t, err)
	info, err := peer.AddrInfoFromString(at)
	require.NoError(t, err)
	require.NoError(t, h.Connect(ctx, *info))
	eventually(t, "the node on the guest's topic", func() bool { return len(topic.ListPeers()) > 0 })
	return topic, heard
}
