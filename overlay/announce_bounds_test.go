package overlay_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// answerTo is all that n answers to what h says on a stream of its own.
func answerTo(t *testing.T, h host.Host, n *node, id protocol.ID, raw []byte) []byte {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.host.ID(), id)
	require.NoError(t, err)
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(patience))
	_, _ = s.Write(raw)
	_ = s.CloseWrite()
	answer, _ := io.ReadAll(s) // a refusal is a reset
	return answer
}

// bulky is a transaction of which no two fit into the largest.
func bulky(g *wire.Genesis, wallet string) *wire.Transaction {
	return transfer(g, wallet, 0, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, wire.MaxTx*2/3), balance/2 })
}

func idsOf(txs ...*wire.Transaction) (ids []byte) {
	for _, tx := range txs {
		id := tx.ID()
		ids = append(ids, id[:]...)
	}
	return ids
}

// R46: each announced id is taken from the announcer's budget of messages.
func TestAnnouncedIDsHaveABudget(t *testing.T) {
	g, c := testGenesis("announced ids"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.MessagesPerSecond, c.Limits.MessagesBurst = 1, 600 })
	h := greetedHost(t, n)
	raw := announcement(make([]byte, 512*len(wire.TxID{})))
	require.NotEmpty(t, answerTo(t, h, n, overlay.AnnounceProtocol(g.ID()), raw))
	require.Empty(t, answerTo(t, h, n, overlay.AnnounceProtocol(g.ID()), raw), "more than the budget has left")
	require.NotEmpty(t, answerTo(t, greetedHost(t, n), n, overlay.AnnounceProtocol(g.ID()), raw), "another's is its own")
}

// R46: what follows an announcement is bounded in bytes, and so is an answer.
func TestPushedAndFetchedBytesAreBounded(t *testing.T) {
	g, c := testGenesis("pushed bytes"), newClock()
	n, _ := startSource(t, g, c, func(c *overlay.Config) { c.Limits.AnnounceBytes = wire.MaxTx })
	h := greetedHost(t, n)
	one, two := bulky(g, "wallet 0"), bulky(g, "wallet 1")
	poke(t, h, n, overlay.AnnounceProtocol(g.ID()),
		bytes.Join([][]byte{announcement(idsOf(one, two)), announcement(one.Bytes()), announcement(two.Bytes())}, nil))
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
	require.Equal(t, peerscore.BudgetBreach, n.seen.offencesOf(h.ID())[0])
	require.True(t, n.chain.has(one.ID()))
	require.False(t, n.chain.has(two.ID()))

	n.accept(two)
	answer := answerTo(t, greetedHost(t, n), n, overlay.FetchProtocol(g.ID()), announcement(idsOf(one, two)))
	require.Greater(t, len(answer), one.Size(), "the first")
	require.Less(t, len(answer), wire.MaxTx, "and no more than the bound")
}

// R39: what is pushed comes out of the budget that the topic has.
func TestPushedBytesHaveABudget(t *testing.T) {
	g, c := testGenesis("pushed budget"), newClock()
	one, two := bulky(g, "wallet 0"), bulky(g, "wallet 1")
	n := start(t, g, c, func(c *overlay.Config) {
		c.Limits.BytesPerSecond, c.Limits.BytesBurst = 1, one.Size()+4096
		c.Limits.AnnounceTime = time.Second
	})
	h := greetedHost(t, n)
	poke(t, h, n, overlay.AnnounceProtocol(g.ID()),
		bytes.Join([][]byte{announcement(idsOf(one, two)), announcement(one.Bytes()), announcement(two.Bytes())}, nil))
	require.True(t, n.chain.has(one.ID()))
	require.False(t, n.chain.has(two.ID()))
	require.Empty(t, n.seen.offencesOf(h.ID()), "who has sent too much waits, and is not blamed")
}

// R46: own transactions are told within a bound of bytes, the rest another time.
func TestToldBytesAreBounded(t *testing.T) {
	g, c := testGenesis("told bytes"), newClock()
	slow := func(c *overlay.Config) { c.Limits.AnnouncePause, c.Limits.AnnouncePauseMax = time.Hour, time.Hour }
	n := start(t, g, c, quick(1), slow, func(c *overlay.Config) { c.Limits.AnnounceBytes = wire.MaxTx })
	got := make(chan int, 10) // bytes that came with an announcement
	h := newHost(t)
	h.SetStreamHandler(overlay.AnnounceProtocol(g.ID()), func(s network.Stream) {
		defer func() { _ = s.Close() }()
		r := bufio.NewReader(s)
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, r, int64(size))
		_, _ = s.Write(announcement([]byte{0b11})) // all of them, please
		pushed, _ := io.Copy(io.Discard, r)
		got <- int(pushed)
	})
	greet(t, h, n)
	one, two := n.accept(bulky(g, "wallet 0")), n.accept(bulky(g, "wallet 1"))
	n.Reannounce(one, two)
	pushed := <-got
	require.Greater(t, pushed, one.Size())
	require.Less(t, pushed, wire.MaxTx+1024, "one of them")
}
