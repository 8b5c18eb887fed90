package overlay_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/member"
)

// quietNet is a simulated network in which a node can fall silent: its packets go nowhere.
type quietNet struct {
	*simnet.Simnet
	seed  uint64
	loss  float64
	mute  atomic.Int64 // the number of the silent node, or -1
	rng   *rand.Rand   // owned by the router
	lines simnet.NodeBiDiLinkSettings
}

func newQuietNet(seed uint64, loss float64) *quietNet {
	q := &quietNet{seed: seed, loss: loss, rng: rand.New(rand.NewPCG(seed, 1))}
	q.mute.Store(-1)
	fast := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
	q.lines = simnet.NodeBiDiLinkSettings{Uplink: fast, Downlink: fast}
	q.Simnet = &simnet.Simnet{LatencyFunc: q.route, Logger: slog.New(slog.DiscardHandler)}
	return q
}

func seatOf(a net.Addr) int64 { return int64(a.(*net.UDPAddr).IP.To4()[1]) }

// route says how long a packet is under way: 20 to 150 ms, the same each time for each pair.
func (q *quietNet) route(p *simnet.Packet) time.Duration {
	from, to := seatOf(p.From), seatOf(p.To)
	if m := q.mute.Load(); from == m || to == m || q.rng.Float64() < q.loss {
		p.To = &net.UDPAddr{IP: net.IPv4(198, 18, 0, 1).To4(), Port: 1}
		return 0
	}
	pair := rand.New(rand.NewPCG(q.seed, uint64(min(from, to))<<32|uint64(max(from, to))))
	return 20*time.Millisecond + time.Duration(pair.Int64N(int64(130*time.Millisecond)))
}

func (q *quietNet) host(t *testing.T, seat int) host.Host { return q.hostAt(t, seat, 4001) }

// hostAt is one of several hosts that have the same address.
func (q *quietNet) hostAt(t *testing.T, seat, port int) host.Host {
	h, err := libp2p.New(
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/20.%d.1.1/udp/%d/quic-v1", seat, port)), libp2p.Transport(libp2pquic.NewTransport),
		simlibp2p.QUICSimnet(q.Simnet, q.lines), libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// TestDeathIsKnownInASimulatedNetwork: of two dozen nodes on links of 20 to 150 ms, one falls
// silent; all others know within twelve seconds (99 of 100 deaths are to be known within ten),
// and take nobody else for dead, with and without packets that are lost. When it speaks again
// it lives for all.
func TestDeathIsKnownInASimulatedNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds of a core")
	}
	for _, loss := range []float64{0, 0.05} {
		t.Run(fmt.Sprintf("loss of %.0f %%", 100*loss), func(t *testing.T) {
			seed, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
			if err != nil {
				seed = rand.Uint64()
			}
			t.Logf("replay: GRAPEVINE_SEED=%d", seed)
			synctest.Test(t, func(t *testing.T) { silence(t, newQuietNet(seed, loss)) })
		})
	}
}

func silence(t *testing.T, q *quietNet) {
	const count = 24
	q.Start()
	t.Cleanup(q.Close)
	rng := rand.New(rand.NewPCG(q.seed, 2))
	g, c := testGenesis("silence"), newClock()
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = startOn(t, q.host(t, i), newChain(t, g, c))
		for range min(i, 4) {
			_ = nodes[i].Connect(t.Context(), nodes[rng.IntN(i)].addr()) // the same one twice is no matter
		}
	}
	time.Sleep(time.Minute)
	for _, n := range nodes {
		require.Equal(t, count, n.MemberStats().Size)
		require.Len(t, n.Members(), count-1)
	}

	for range 3 {
		i := rng.IntN(count)
		victim := nodes[i]
		others := slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return n == victim })
		q.mute.Store(int64(i))
		fell := time.Now()
		for slices.ContainsFunc(others, func(n *node) bool { return n.member(victim.host.ID()).State != member.Dead }) {
			require.Less(t, time.Since(fell), 12*time.Second, "until all know")
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("dead to all after %v", time.Since(fell))
		q.mute.Store(-1)
		time.Sleep(20 * time.Second)
		for _, n := range others {
			require.Equal(t, member.Alive, n.member(victim.host.ID()).State)
		}
	}
	for _, n := range nodes {
		s := n.MemberStats()
		require.Equal(t, count-1, s.Alive)
		require.LessOrEqual(t, s.Died, uint64(3), "nobody else was taken for dead")
		require.Zero(t, n.seen.blamed())
	}
}
