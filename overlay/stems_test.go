package overlay_test

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// embargoed has a node relay whatever it is handed, and wait that long in the mean before it
// publishes after all.
func embargoed(mean time.Duration) option {
	return func(c *overlay.Config) {
		c.Stem.Publish, c.Stem.Embargo = 1e-12, mean
	}
}

func (n *node) private(tx *wire.Transaction) {
	n.t.Helper()
	checked, err := n.checker.Sound(tx.Bytes())
	require.NoError(n.t, err)
	require.NoError(n.t, n.PublishPrivately(checked))
}

// R106: who published a transaction that went along a stem is not who began: here it is the
// end of a line, and the origin learns of it as of anybody's.
func TestOriginIsToldLikeEverybody(t *testing.T) {
	g, c := testGenesis("stem line"), newClock()
	last := start(t, g, c, embargoed(time.Hour))
	middle := start(t, g, c, embargoed(time.Hour))
	middle.join(last)
	first := start(t, g, c, embargoed(time.Hour))
	first.join(middle)
	meshed(t, first, middle)
	meshed(t, middle, last)
	for n := range uint64(5) {
		first.private(transfer(g, "wallet 0", n))
	}
	for n := range uint64(5) {
		id := transfer(g, "wallet 0", n).ID()
		eventually(t, func() bool { return first.chain.has(id) && middle.chain.has(id) && last.chain.has(id) }, "published")
	}
	for _, o := range []*node{first, middle, last} {
		eventually(t, func() bool { return o.OnStems() == 0 }, "nothing is held any more")
		require.Zero(t, o.seen.blamed())
	}
	require.Equal(t, 5, first.seen.count(validation.Accept), "they came to the origin over the topic")
}

// R106: what is held on its stem is not to be found by asking for it.
func TestHeldIsNotToBeFound(t *testing.T) {
	g, c := testGenesis("stem held"), newClock()
	relay := start(t, g, c, embargoed(time.Hour))
	n := start(t, g, c, embargoed(time.Hour))
	n.join(relay)
	meshed(t, n, relay)
	taken := make(chan []byte, 1)
	keeper := greetedHost(t, relay) // it dialled the relay, which will not hand it anything
	keeper.SetStreamHandler(overlay.StemProtocol(g.ID()), func(s network.Stream) {
		raw, _ := io.ReadAll(s)
		taken <- raw
		_ = s.Close()
	})
	tx := transfer(g, "wallet 0", 0)
	n.private(tx)
	// The relay has nobody else to hand it to, and so publishes it; n holds it until then.
	eventually(t, func() bool { return relay.chain.has(tx.ID()) }, "published by the relay")
	require.Empty(t, taken, "handed to somebody who dialled us")

	alone := start(t, g, c, embargoed(time.Hour))
	alone.private(transfer(g, "wallet 1", 0))
	require.Equal(t, 1, alone.OnStems())
	spy := greetedHost(t, alone)
	id := transfer(g, "wallet 1", 0).ID()
	s, err := spy.NewStream(t.Context(), alone.host.ID(), overlay.AnnounceProtocol(g.ID()))
	require.NoError(t, err)
	_, err = s.Write(announcement(id[:]))
	require.NoError(t, err)
	answer := make([]byte, 4)
	_, err = io.ReadFull(s, answer)
	require.NoError(t, err)
	require.Equal(t, byte(1), answer[3], "it wants what it holds")
	require.Zero(t, alone.chain.pooled())
	require.Equal(t, 1, alone.OnStems())
}

// R107: a relay that takes a transaction and keeps it only delays it.
func TestEmbargoEnds(t *testing.T) {
	g, c := testGenesis("stem embargo"), newClock()
	n, other := start(t, g, c, embargoed(50*time.Millisecond)), start(t, g, c)
	other.join(n) // n dialled nobody
	meshed(t, n, other)
	tx := transfer(g, "wallet 0", 0)
	n.private(tx)
	eventually(t, func() bool { return n.chain.has(tx.ID()) && other.chain.has(tx.ID()) }, "published in the end")
	require.Zero(t, n.OnStems())
	require.Zero(t, n.seen.blamed()+other.seen.blamed())
}

// What nobody wants any more when its embargo ends is let go, and no peer is blamed.
func TestStaleOnItsStem(t *testing.T) {
	g, c := testGenesis("stem stale"), newClock()
	n := start(t, g, c, embargoed(time.Second))
	n.private(transfer(g, "wallet 0", 0))
	n.add(seal(g, n.chain.Head(), 1000, []*wire.Transaction{transfer(g, "wallet 0", 0)}))
	eventually(t, func() bool { return n.OnStems() == 0 }, "let go")
	require.Zero(t, n.chain.pooled())
}

// What comes on a stem is judged as everything else.
func TestLiesOnStems(t *testing.T) {
	g, c := testGenesis("stem lies"), newClock()
	n := start(t, g, c)
	for name, test := range map[string]struct {
		raw     []byte
		offence peerscore.Offence
	}{
		"forged":    {announcement(forge(g, 0)), peerscore.InvalidTx},
		"garbage":   {announcement([]byte("no transaction")), peerscore.InvalidTx},
		"nothing":   {announcement(nil), peerscore.InvalidTx},
		"too large": {[]byte{0xff, 0xff, 0xff, 0x7f}, peerscore.BadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			h := greetedHost(t, n)
			poke(t, h, n, overlay.StemProtocol(g.ID()), test.raw)
			eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			require.Equal(t, test.offence, n.seen.offencesOf(h.ID())[0])
		})
	}
	require.Zero(t, n.OnStems())
	require.Zero(t, n.chain.pooled())
}

// No more of our own is held than the bound says.
func TestStemsAreBounded(t *testing.T) {
	g, c := testGenesis("stem bounds"), newClock()
	n := start(t, g, c, embargoed(time.Hour), func(c *overlay.Config) { c.Stem.MaxOwn = 2 })
	n.private(transfer(g, "wallet 0", 0))
	n.private(transfer(g, "wallet 0", 1))
	n.private(transfer(g, "wallet 0", 1))
	checked, err := n.checker.Sound(transfer(g, "wallet 0", 2).Bytes())
	require.NoError(t, err)
	require.ErrorIs(t, n.PublishPrivately(checked), stem.Full)
	require.Equal(t, 2, n.OnStems())
}
