package overlay_test

import (
	"bufio"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// quick makes announcements follow each other fast, and loopback count as many networks.
func quick(networks int) option {
	return func(c *overlay.Config) {
		c.EchoNetworks = networks
		c.Limits.AnnounceAfter, c.Limits.AnnouncePause = 10*time.Millisecond, 10*time.Millisecond
		c.Limits.AnnouncePauseMax = 100 * time.Millisecond
	}
}

func (s *sightings) echoes() []wire.TxID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wire.TxID(nil), s.echoed...)
}

// Who joins after a transaction was published hears of it although the topic remembers it,
// and so does who joins behind it.
//
// R45: own transactions are announced on streams of their own.
func TestAnnouncementReachesALatecomer(t *testing.T) {
	g, c := testGenesis("latecomer"), newClock()
	a, b := start(t, g, c, quick(1)), start(t, g, c)
	a.join(b)
	meshed(t, a, b)
	tx := transfer(g, "wallet 0", 0)
	a.submit(tx)
	eventually(t, func() bool { return b.chain.has(tx.ID()) }, "published")
	require.Equal(t, 1, a.Unechoed(), "the only peer has it from us")

	late, behind := start(t, g, c), start(t, g, c)
	late.join(behind)
	meshed(t, late, behind)
	late.join(a)
	eventually(t, func() bool { return late.chain.has(tx.ID()) }, "announced")
	eventually(t, func() bool { return behind.chain.has(tx.ID()) }, "passed on")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+late.seen.blamed()+behind.seen.blamed())
}

// R45: after a restart own transactions are announced until three peers are known to have
// them, and no more.
func TestReannouncedUntilEchoed(t *testing.T) {
	g, c := testGenesis("echo"), newClock()
	a := start(t, g, c)
	var others []*node
	for range 4 {
		o := start(t, g, c)
		o.join(append(others, a)...)
		others = append(others, o)
	}
	tx, unknown := transfer(g, "wallet 0", 0), transfer(g, "wallet 1", 0)
	a.submit(tx)
	for _, o := range others {
		eventually(t, func() bool { return o.chain.has(tx.ID()) }, "published")
	}
	a.stop()
	again := startOn(t, newHost(t), a.chain, quick(1))
	for _, o := range others {
		again.join(o)
	}
	meshed(t, again)
	checked, err := again.checker.Sound(tx.Bytes())
	require.NoError(t, err)
	again.Reannounce(checked, again.accept(unknown))
	require.Equal(t, 2, again.Unechoed())
	eventually(t, func() bool { return len(again.seen.echoes()) == 2 }, "both echoed: %v", again.seen.echoes())
	require.Contains(t, again.seen.echoes(), tx.ID())
	require.Zero(t, again.Unechoed())
	for _, o := range others {
		eventually(t, func() bool { return o.chain.has(unknown.ID()) }, "the other one has spread")
		require.Zero(t, o.seen.blamed())
	}
	again.Reannounce(checked)
	require.Zero(t, again.Unechoed(), "told once and for all")
}

// R45: peers of one network are not enough where more are asked for. What ended is let go.
func TestEchoesOfOneNetworkDoNotCount(t *testing.T) {
	g, c := testGenesis("one network"), newClock()
	a, b := start(t, g, c, quick(2)), start(t, g, c)
	a.join(b)
	meshed(t, a, b)
	tx := transfer(g, "wallet 0", 0)
	b.submit(tx)
	eventually(t, func() bool { return a.chain.has(tx.ID()) }, "published")
	checked, err := a.checker.Sound(tx.Bytes())
	require.NoError(t, err)
	a.Reannounce(checked)
	never(t, func() bool { return a.Unechoed() == 0 }, 2500*time.Millisecond, 50*time.Millisecond)
	a.add(seal(g, a.chain.Head(), 1000, []*wire.Transaction{tx}))
	eventually(t, func() bool { return a.Unechoed() == 0 }, "a block holds it")
	require.Empty(t, a.seen.echoes())
}

func announcement(content []byte) []byte {
	return frame(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), content))
}

// R46: what is announced must be what follows, within bounds, and is judged as all is.
func TestAnnouncementsOfLiars(t *testing.T) {
	g, c := testGenesis("liars"), newClock()
	n := start(t, g, c)
	good, bad := transfer(g, "wallet 0", 0), forge(g, 0)
	badID := wire.NewTransaction(mustDecode(t, bad).Body(), mustDecode(t, bad).Signature()).ID()
	id := good.ID()
	for name, test := range map[string]struct {
		raw     []byte
		offence peerscore.Offence
	}{
		"another transaction": {append(announcement(id[:]), announcement(transfer(g, "wallet 1", 0).Bytes())...), peerscore.LyingAnswer},
		"an invalid one":      {append(announcement(badID[:]), announcement(bad)...), peerscore.InvalidTx},
		"half an id":          {announcement(id[:7]), peerscore.BadFrame},
		"too many ids":        {announcement(make([]byte, 32*513)), peerscore.BudgetBreach},
		"too large":           {append(announcement(id[:]), 0xff, 0xff, 0xff, 0x7f), peerscore.BadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			h := greetedHost(t, n)
			poke(t, h, n, overlay.AnnounceProtocol(g.ID()), test.raw)
			eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			require.Equal(t, test.offence, n.seen.offencesOf(h.ID())[0])
		})
	}
	require.Zero(t, n.chain.pooled())
	h := greetedHost(t, n)
	s, err := h.NewStream(t.Context(), n.host.ID(), overlay.AnnounceProtocol(g.ID()))
	require.NoError(t, err)
	_, err = s.Write(append(announcement(id[:]), announcement(good.Bytes())...))
	require.NoError(t, err)
	eventually(t, func() bool { return n.chain.has(good.ID()) }, "an honest one is taken")
	require.Empty(t, n.seen.offencesOf(h.ID()))
}

func mustDecode(t *testing.T, raw []byte) *wire.Transaction {
	t.Helper()
	tx, err := wire.DecodeTransaction(raw)
	require.NoError(t, err)
	return tx
}

// R46: an answer that is none is a lie.
func TestWantsOfLiars(t *testing.T) {
	g, c := testGenesis("wants"), newClock()
	n := start(t, g, c, quick(1))
	h := newHost(t)
	h.SetStreamHandler(overlay.AnnounceProtocol(g.ID()), func(s network.Stream) {
		_, _ = bufio.NewReader(s).Peek(1)
		_, _ = s.Write(announcement(make([]byte, 60)))
	})
	greet(t, h, n)
	n.Reannounce(n.accept(transfer(g, "wallet 0", 0)))
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
	require.Equal(t, peerscore.LyingAnswer, n.seen.offencesOf(h.ID())[0])
	require.Equal(t, 1, n.Unechoed())
}

// A transaction that is well signed is passed on although the application takes its time,
// and is not lost here.
func TestSlowApplicationHoldsNothingUp(t *testing.T) {
	g, c := testGenesis("slow application"), newClock()
	a, slow, b := start(t, g, c), start(t, g, c), start(t, g, c)
	slow.join(a, b)
	meshed(t, a, slow, b)
	gate := make(chan struct{})
	slow.chain.slow.Store(&gate)
	tx := transfer(g, "wallet 0", 0)
	a.submit(tx)
	eventually(t, func() bool { return b.chain.has(tx.ID()) }, "passed on")
	require.False(t, slow.chain.has(tx.ID()))
	close(gate)
	eventually(t, func() bool { return slow.chain.has(tx.ID()) }, "believed in the end")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+slow.seen.blamed())
}

var _ overlay.TxHolder = (*chain)(nil)
