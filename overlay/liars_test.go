package overlay_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// herald is a hostile peer with hello that publishes on the block topic and answers
// requests for transactions as it likes.
type herald struct {
	host  host.Host
	topic *pubsub.Topic
}

func newHerald(t *testing.T, n *node, answer func(*wire.CompactRequest) *wire.CompactAnswer) *herald {
	t.Helper()
	return newHeraldOf(t, n, &wire.Hello{Network: n.g.ID(), Protocol: overlay.ProtocolVersion}, answer)
}

// newHeraldOf is newHerald with another hello.
func newHeraldOf(t *testing.T, n *node, hello *wire.Hello, answer func(*wire.CompactRequest) *wire.CompactAnswer) *herald {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	h := newHost(t)
	id := n.g.ID()
	speakHello(h, hello)
	h.SetStreamHandler(overlay.CompactProtocol(id), func(s network.Stream) {
		defer s.Close()
		raw, err := readRaw(bufio.NewReader(s))
		if err != nil {
			return
		}
		q, err := wire.DecodeCompactRequest(raw)
		if err != nil {
			return
		}
		a := answer(q)
		if a == nil {
			return
		}
		b := a.AppendTo(nil)
		_, _ = s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	})
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols([]protocol.ID{meshBlock}, func(f pubsub.GossipSubFeature, _ protocol.ID) bool {
			return f == pubsub.GossipSubFeatureMesh
		}),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithFloodPublish(true),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return overlay.MessageID(id, m.GetTopic(), m.GetData()) }))
	require.NoError(t, err)
	topic, err := ps.Join(overlay.BlockTopic(id))
	require.NoError(t, err)
	_, err = topic.Subscribe()
	require.NoError(t, err)
	_, err = exchangeHello(t, h, n, hello.AppendTo(nil))
	require.NoError(t, err)
	eventually(t, func() bool { return n.knows(h.ID()) && len(topic.ListPeers()) > 0 }, "herald is in")
	return &herald{h, topic}
}

func TestLyingCompactAnswers(t *testing.T) {
	g, c := testGenesis("compact liars"), newClock()
	c.slot.Add(1)
	txs := []*wire.Transaction{transfer(g, "wallet 0", 0), transfer(g, "wallet 0", 1)}
	wrong := transfer(g, "wallet 1", 0)
	for name, test := range map[string]struct {
		answer  func(block *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer
		offence peerscore.Offence // 0: nothing is proven
		honest  bool              // somebody who has the block comes in time
	}{
		"the truth": {func(b *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			return &wire.CompactAnswer{ID: q.ID, Txs: [][]byte{b.Txs[0].Bytes(), b.Txs[1].Bytes()}}
		}, 0, false},
		"busy for parts, whole on request": {func(b *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			if !q.Whole {
				return &wire.CompactAnswer{ID: q.ID, Status: wire.StatusBusy}
			}
			return &wire.CompactAnswer{ID: q.ID, Block: b.AppendTo(nil)}
		}, 0, false},
		"other transactions": {func(_ *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			return &wire.CompactAnswer{ID: q.ID, Txs: [][]byte{wrong.Bytes(), wrong.Bytes()}}
		}, peerscore.LyingAnswer, true},
		"too few": {func(b *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			return &wire.CompactAnswer{ID: q.ID, Txs: [][]byte{b.Txs[0].Bytes()}}
		}, peerscore.LyingAnswer, true},
		"no transactions": {func(_ *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			return &wire.CompactAnswer{ID: q.ID, Txs: [][]byte{make([]byte, 80), make([]byte, 80)}}
		}, peerscore.LyingAnswer, true},
		"another body": {func(b *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			if !q.Whole {
				return &wire.CompactAnswer{ID: q.ID, Status: wire.StatusNotFound}
			}
			return &wire.CompactAnswer{ID: q.ID, Block: (&wire.Block{Header: b.Header, Txs: []*wire.Transaction{wrong}}).AppendTo(nil)}
		}, peerscore.LyingAnswer, true},
		"another block": {func(b *wire.Block, q *wire.CompactRequest) *wire.CompactAnswer {
			if !q.Whole {
				return nil
			}
			return &wire.CompactAnswer{ID: q.ID, Block: seal(g, refOf(b), slotOf(c)+1, nil).AppendTo(nil)}
		}, peerscore.LyingAnswer, true},
		"nothing at all": {func(*wire.Block, *wire.CompactRequest) *wire.CompactAnswer { return nil }, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = 500e6 })
			block := seal(g, n.chain.Head(), slotOf(c), txs)
			var asked atomic.Int32
			h := newHerald(t, n, func(q *wire.CompactRequest) *wire.CompactAnswer {
				asked.Add(1)
				return test.answer(block, q)
			})
			require.NoError(t, h.topic.Publish(t.Context(), wire.Compact(block).AppendTo(nil)))
			if test.honest {
				eventually(t, func() bool { return asked.Load() >= 2 }, "the liar is asked for parts and for the whole")
				other := start(t, g, c)
				defer func() { require.Zero(t, other.seen.blamed()) }()
				other.add(block)
				n.join(other)
			}
			eventually(t, func() bool { return n.chain.Head().ID == block.ID() }, "the block is had all the same")
			require.Positive(t, asked.Load())
			if !test.honest {
				how := n.awaitBlock(block)
				require.True(t, how.Requested())
				require.Equal(t, []peerscore.PeerID{peerscore.PeerID(h.host.ID())}, how.From)
				require.Equal(t, how.From[0], how.Sender)
			}
			if test.offence == 0 {
				require.Empty(t, n.seen.offencesOf(h.host.ID()))
			} else {
				require.Equal(t, test.offence, n.seen.offencesOf(h.host.ID())[0])
			}
		})
	}
}

func TestInvalidNewsOnTheBlockTopic(t *testing.T) {
	g, c := testGenesis("invalid news"), newClock()
	c.slot.Add(1)
	n := start(t, g, c)
	honest := seal(g, n.chain.Head(), slotOf(c), nil)
	change := func(f func(*wire.HeaderBody)) []byte {
		return wire.Compact(seal(g, n.chain.Head(), slotOf(c), nil, f)).AppendTo(nil)
	}
	altered := wire.Compact(seal(g, n.chain.Head(), slotOf(c), []*wire.Transaction{transfer(g, "wallet 0", 0)}))
	altered.ShortIDs[0][0]++
	for name, test := range map[string]struct {
		raw     []byte
		offence peerscore.Offence
	}{
		"altered list of short ids": {altered.AppendTo(nil), peerscore.InvalidHeader},
		"not the producer's turn":   {change(func(h *wire.HeaderBody) { h.Slot++; h.Time += slotMillis }), peerscore.InvalidHeader},
		"time outside of the slot":  {change(func(h *wire.HeaderBody) { h.Time += 10 * slotMillis }), peerscore.InvalidHeader},
		"garbage":                   {[]byte{1, 2, 3}, peerscore.InvalidHeader},
		"evidence of nothing":       {(&wire.Evidence{First: honest.Header, Second: honest.Header}).AppendTo(nil), peerscore.InvalidHeader},
		"too old":                   {wire.Compact(seal(g, n.chain.Head(), 500, nil)).AppendTo(nil), 0},
		"far in the future":         {wire.Compact(seal(g, n.chain.Head(), 1_000_000, nil)).AppendTo(nil), 0},
		"another version":           {change(func(h *wire.HeaderBody) { h.Version = 2 }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerald(t, n, func(*wire.CompactRequest) *wire.CompactAnswer { return nil })
			require.NoError(t, h.topic.Publish(t.Context(), test.raw))
			if test.offence != 0 {
				eventually(t, func() bool { return len(n.seen.offencesOf(h.host.ID())) > 0 }, "offence")
				require.Equal(t, test.offence, n.seen.offencesOf(h.host.ID())[0])
				return
			}
			// What follows on the same road is judged, so the message before was too.
			require.NoError(t, h.topic.Publish(t.Context(), []byte{9, 9, byte(len(name))}))
			eventually(t, func() bool { return len(n.seen.offencesOf(h.host.ID())) > 0 }, "the next is judged")
			require.Len(t, n.seen.offencesOf(h.host.ID()), 1)
		})
	}
	require.Zero(t, n.chain.Head().Height)
}
