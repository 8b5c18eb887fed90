package overlay

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// lonelyHost has no connections and opens no streams.
type lonelyHost struct{ host.Host }

func (lonelyHost) Network() network.Network { return lonelyNetwork{} }

func (lonelyHost) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return nil, errGone
}

type lonelyNetwork struct{ network.Network }

func (lonelyNetwork) ConnsToPeer(peer.ID) []network.Conn { return nil }

// crowded makes a compactor with so many greeted peers that speak frames.
func crowded(t *testing.T, peers int) (*compactor, []*member) {
	r := newRoster(DefaultLimits(), lonelyNetwork{}, time.Now, newLinks(), newLinks())
	c := &compactor{
		host: lonelyHost{}, roster: r, cfg: Config{Limits: DefaultLimits()}, log: slog.New(slog.DiscardHandler), mesh: newLinks(),
		holders: newHolders(time.Now), links: make(map[peer.ID]*compactLink), debts: newDebtBook(), ctx: t.Context(),
	}
	all := make([]*member, peers)
	for i := range all {
		id := peer.ID(fmt.Sprint("peer number ", i))
		all[i] = &member{
			id: id, standing: greeted, hello: &wire.Hello{Services: ServiceFrames}, budget: newBudget(DefaultLimits()),
			rtt: time.Duration(i) * time.Millisecond,
		}
		r.members[id] = all[i]
	}
	require.NoError(t, c.begin())
	return c, all
}

func (c *compactor) in() (n int) {
	for _, l := range c.links {
		if l.in {
			n++
		}
	}
	return n
}

// R195: a public node exchanges parts with all that it has seats for.
func TestAllPeersTakePartInBlocks(t *testing.T) {
	seats := DefaultDial().Inbound + DefaultDial().Outbound
	c, _ := crowded(t, seats)
	require.Empty(t, c.refresh(time.Now(), 0))
	require.Equal(t, seats, c.in())
}

// R195: whatever heights peers claim, who is in stays in while there is no more
// room, unless the mesh needs it; and who is out is answered all the same.
func TestLinksOfBlocksStay(t *testing.T) {
	c, all := crowded(t, compactLinks+20)
	now := time.Now()
	c.refresh(now, 0)
	require.Equal(t, compactLinks, c.in())
	first := make(map[peer.ID]bool)
	var out peer.ID
	for id, l := range c.links {
		if first[id] = l.in; !l.in {
			out = id
		}
	}
	for block := range 10 {
		for k := range 12 { // some heads are heard of before others
			all[(block*37+k*11)%len(all)].best.height = uint64(block + 1)
		}
		c.refresh(now, 0)
		for id, l := range c.links {
			require.Equal(t, first[id], l.in, "block %d", block)
		}
	}

	link := c.links[out]
	link.busy = true // nothing is to be written here
	c.carryOut(now, c.machine.Receive(now, peerscore.PeerID(out), &compact.Ask{Block: wire.BlockID{1}, ID: 7, Places: []uint32{0}}))
	require.Equal(t, &compact.Fill{Block: wire.BlockID{1}, ID: 7}, link.take())

	c.mesh.set(out, true)
	c.refresh(now, 0)
	require.True(t, link.in)
	require.Same(t, link, c.links[out])
	require.Equal(t, compactLinks, c.in())
	delete(c.roster.members, out)
	c.refresh(now, 0)
	require.NotContains(t, c.links, out)
	require.Equal(t, compactLinks, c.in())
}
