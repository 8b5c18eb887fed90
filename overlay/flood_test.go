package overlay_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// rpcOf is a frame with messages for the transaction topic.
func rpcOf(t *testing.T, g *wire.Genesis, txs ...[]byte) []byte {
	t.Helper()
	rpc := new(pb.RPC)
	for _, tx := range txs {
		rpc.Publish = append(rpc.Publish, &pb.Message{Topic: proto.String(overlay.TxTopic(g.ID())), Data: tx})
	}
	raw, err := proto.Marshal(rpc)
	require.NoError(t, err)
	return frame(raw)
}

// gossipStream is a stream on which h talks to n's transaction mesh.
func gossipStream(t *testing.T, h host.Host, n *node) network.Stream {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Reset() })
	return s
}

// forge is a transaction whose signature is none.
func forge(g *wire.Genesis, serial uint64) []byte {
	body := &wire.TxBody{
		Version: 1, Sender: address(key("wallet 7")), Nonce: serial, Fee: 1 << 30,
		To: address(key("somebody")), Amount: 1, Payload: make([]byte, 100),
	}
	return wire.NewTransaction(body.AppendTo(nil), wire.Signature(make([]byte, ed25519.SignatureSize))).Bytes()
}

// Who sends 10,000 invalid signatures a second is cut within two seconds and kept out, and
// fifty honest transactions a second lose nothing by it.
func TestP17FloodOfInvalidSignaturesIsCut(t *testing.T) {
	g, c := testGenesis("forgeries"), newClock()
	n, honest := start(t, g, c), start(t, g, c)
	honest.join(n)
	meshed(t, n, honest)
	var txs []*wire.Transaction
	for i := range uint64(100) {
		txs = append(txs, transfer(g, fmt.Sprint("wallet ", i%5), i/5))
	}
	h := greetedHost(t, n)
	s := gossipStream(t, h, n)
	began := time.Now()
	cut := make(chan time.Duration, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		serial := uint64(0)
		for {
			batch := make([][]byte, 100)
			for i := range batch {
				serial++
				batch[i] = forge(g, serial)
			}
			if _, err := s.Write(rpcOf(t, g, batch...)); err != nil {
				cut <- time.Since(began)
				return
			}
			<-tick.C
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, tx := range txs {
		honest.submit(tx)
		<-tick.C
	}
	took := <-cut
	require.Less(t, took, 2*time.Second)
	t.Logf("cut after %v", took)
	eventually(t, func() bool { return n.chain.pooled() == len(txs) }, "all honest transactions: %s", n.tally())
	require.True(t, n.Banned(h.ID()))
	require.Equal(t, []string{peerscore.InvalidTx.String()}, n.seen.cut)
	require.Empty(t, n.seen.offencesOf(honest.host.ID()))
	_ = h.Connect(t.Context(), n.addr())
	eventually(t, func() bool { return !connected(n.host, h) }, "kept out")
}

// R41, R86: who sends more messages than its budget, valid as they may be, is shed from, then
// charged, then disconnected.
func TestFloodOverBudgetIsCut(t *testing.T) {
	g, c := testGenesis("over budget"), newClock()
	n := start(t, g, c, func(c *overlay.Config) {
		c.Limits.MessagesPerSecond, c.Limits.MessagesBurst = 100, 500
		c.Limits.ShedPerCharge = 100
	})
	h := greetedHost(t, n)
	s := gossipStream(t, h, n)
	same := make([][]byte, 50)
	for i := range same {
		same[i] = transfer(g, "wallet 0", 0).Bytes()
	}
	_, err := s.Write(rpcOf(t, g, same[0]))
	require.NoError(t, err)
	eventually(t, func() bool { return n.chain.pooled() == 1 }, "what is within the budget is believed")
	for raw := rpcOf(t, g, same...); !n.Banned(h.ID()); {
		if _, err := s.Write(raw); err != nil {
			break
		}
	}
	eventually(t, func() bool { return n.Banned(h.ID()) && !connected(n.host, h) }, "cut")
	n.seen.mu.Lock()
	defer n.seen.mu.Unlock()
	require.NotZero(t, n.seen.shed[overlay.ShedBudget])
	require.Equal(t, []string{"over_budget"}, n.seen.cut)
	require.NotEmpty(t, n.seen.offences[peerscore.PeerID(h.ID())], "it was charged before")
}

// R43: a peer that the router does not listen to any more is disconnected and kept out.
func TestGraylistedPeerIsCut(t *testing.T) {
	g, c := testGenesis("graylist"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Gossip.InspectScores = 100 * time.Millisecond })
	n.join(start(t, g, c), start(t, g, c), start(t, g, c)) // of fewer than four peers none is cut
	h := newHost(t)
	h.SetStreamHandler(meshTx, func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	greet(t, h, n)
	s := gossipStream(t, h, n)
	// Authors are not allowed on the topic: the router counts such a message as invalid, and
	// nothing of it reaches our own book.
	for i := range 50 {
		raw, err := proto.Marshal(&pb.RPC{Publish: []*pb.Message{{
			Topic: proto.String(overlay.TxTopic(g.ID())), From: []byte(h.ID()), Seqno: []byte{byte(i)}, Data: []byte{byte(i)},
		}}})
		require.NoError(t, err)
		if _, err := s.Write(frame(raw)); errors.Is(err, network.ErrReset) {
			break
		}
	}
	eventually(t, func() bool { return n.Banned(h.ID()) && !connected(n.host, h) }, "cut")
	require.Equal(t, []string{"graylisted"}, n.seen.cut)
	require.Empty(t, n.seen.offencesOf(h.ID()))
	require.ErrorContains(t, n.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}), "banned")
}

// A guest that publishes and passes on 500 transactions a second is within every budget, and so is
// one outside the mesh that announces all of them in three heartbeats: 33 KB each.
func TestBusyGuestIsNotCut(t *testing.T) {
	g, c := testGenesis("busy guest"), newClock()
	n := start(t, g, c)
	f, p := newForeign(t, g.ID(), false), newPuppet(t, n)
	f.connect(t, n)
	const perSecond, seconds = 500, 5
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var ids []string
	for i := range uint64(perSecond * seconds) {
		raw := transfer(g, fmt.Sprint("wallet ", i%8), i/8).Bytes()
		ids = append(ids, overlay.MessageID(g.ID(), p.topic, raw))
		require.NoError(t, f.topic.Publish(t.Context(), raw))
		if len(ids)%perSecond == 0 {
			require.True(t, p.announce(ids[max(0, len(ids)-3*perSecond):]...))
		}
		<-tick.C
	}
	eventually(t, func() bool { return n.chain.pooled() >= perSecond*seconds*9/10 }, "most arrive: %s", n.tally())
	n.seen.mu.Lock()
	defer n.seen.mu.Unlock()
	require.Empty(t, n.seen.cut)
	require.Empty(t, n.seen.shed)
	require.Empty(t, n.seen.offences)
}
