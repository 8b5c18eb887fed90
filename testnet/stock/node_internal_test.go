package stock

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

const (
	oneWay  = 30 * time.Millisecond
	settled = 20 * time.Second // nodes are connected and have their mesh
	drained = 5 * time.Second  // what was published is where it will ever be
)

// notes is a witness that can be read.
type notes struct {
	mu     sync.Mutex
	made   []sim.ID
	valid  map[sim.ID]time.Time
	copies int
	counts sim.Counts
}

func (n *notes) Made(_ sim.Kind, id sim.ID, _ int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made = append(n.made, id)
}

func (n *notes) Valid(_ sim.Kind, id sim.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.valid == nil {
		n.valid = make(map[sim.ID]time.Time)
	}
	n.valid[id] = time.Now()
}

func (n *notes) Copy(sim.Kind, sim.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.copies++
}

func (n *notes) Count(c sim.Counts) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Dropped += c.Dropped
}

func (n *notes) has(id sim.ID) bool { return !n.when(id).IsZero() }

func (n *notes) when(id sim.ID) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.valid[id]
}

// totals are the number of copies and of what was given up.
func (n *notes) totals() (copies, dropped int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.copies, n.counts.Dropped
}

func (n *notes) began() []sim.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.made)
}

// village is a few nodes on quick lines, in virtual time.
type village struct {
	t     *testing.T
	net   *simnet.Simnet
	seats []sim.Seat
	nodes []*node
	notes []*notes
}

// newVillage makes n seats, of which the first of each pair dials the second.
func newVillage(t *testing.T, n int, links [][2]int) *village {
	t.Helper()
	v := &village{t: t, net: &simnet.Simnet{LatencyFunc: simnet.StaticLatency(oneWay)}}
	for i := range n {
		seed := sha256.Sum256([]byte(fmt.Sprint("seat ", i)))
		key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
		require.NoError(t, err)
		id, err := peer.IDFromPrivateKey(key)
		require.NoError(t, err)
		v.seats = append(v.seats, sim.Seat{Number: i, Key: key, ID: id, NewHost: func(...libp2p.Option) (host.Host, error) { return v.host(i) }})
	}
	for _, l := range links {
		from := &v.seats[l[0]]
		from.Neighbours = append(from.Neighbours, peer.AddrInfo{ID: v.seats[l[1]].ID, Addrs: []multiaddr.Multiaddr{addr(l[1])}})
	}
	return v
}

func addr(i int) multiaddr.Multiaddr {
	return multiaddr.StringCast(fmt.Sprintf("/ip4/%s/udp/4001/quic-v1", net.IPv4(20, 0, byte(i), 1)))
}

func (v *village) host(i int) (host.Host, error) {
	line := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
	return libp2p.New(
		libp2p.Identity(v.seats[i].Key), libp2p.ListenAddrs(addr(i)), libp2p.Transport(libp2pquic.NewTransport),
		simlibp2p.QUICSimnet(v.net, simnet.NodeBiDiLinkSettings{Uplink: line, Downlink: line}),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(),
	)
}

// live runs all nodes, calls meanwhile once they had time to settle, and waits
// until they are gone.
func (v *village) live(p Profile, meanwhile func(ctx context.Context)) {
	v.t.Helper()
	v.net.Start()
	defer v.net.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, s := range v.seats {
		w := new(notes)
		n := newNode(p, s, w)
		v.nodes, v.notes = append(v.nodes, n), append(v.notes, w)
		running.Go(func() {
			if err := n.Run(ctx); err != nil {
				v.t.Errorf("seat %d: %v", s.Number, err)
			}
		})
	}
	time.Sleep(settled)
	for i, n := range v.nodes {
		select {
		case <-n.Ready():
		default:
			v.t.Errorf("seat %d is not ready after %v", i, settled)
			return
		}
	}
	meanwhile(ctx)
}

func message(kind sim.Kind, size int, salt byte) sim.Message {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*i>>8) ^ salt
	}
	return sim.Message{Kind: kind, ID: sha256.Sum256(data), Data: data}
}

// everyone is a ring with chords: each node dials the next three.
func everyone(n int) (links [][2]int) {
	for i := range n {
		for step := 1; step <= 3; step++ {
			links = append(links, [2]int{i, (i + step) % n})
		}
	}
	return links
}

func TestEverybodyGetsEverything(t *testing.T) {
	const n, txs, mebibyte = 12, 20, 1 << 20
	for _, p := range []Profile{Default(), Tuned()} {
		t.Run(p.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillage(t, n, everyone(n))
				for i := range v.seats {
					v.seats[i].MaxMessage = mebibyte
				}
				v.live(p, func(ctx context.Context) {
					var sent []sim.Message
					for i := range txs {
						sent = append(sent, message(sim.Tx, 250, byte(i)))
					}
					sent = append(sent, message(sim.Block, mebibyte, 0))
					for i, m := range sent {
						require.NoError(t, v.nodes[i%n].Publish(ctx, m))
					}
					began := time.Now()
					time.Sleep(drained)
					for i, m := range sent {
						require.Equal(t, m.ID, v.notes[i%n].began()[i/n], "of message %d", i)
						for j := range n {
							require.Equal(t, i%n != j, v.notes[j].has(m.ID), "message %d at seat %d", i, j)
							if i%n != j {
								require.GreaterOrEqual(t, v.notes[j].when(m.ID).Sub(began), oneWay)
							}
						}
					}
					for j := range n {
						copies, dropped := v.notes[j].totals()
						require.Greater(t, copies, txs, "seat %d has a mesh, so copies come more than once", j)
						require.Zero(t, dropped)
						require.Len(t, v.nodes[j].Peers(), 6, "seat %d reaches whom it dialled and who dialled it", j)
						require.NotEmpty(t, v.nodes[j].MeshPeers(sim.Block))
						require.Subset(t, v.nodes[j].Peers(), v.nodes[j].MeshPeers(sim.Tx))
					}
				})
			})
		})
	}
}

func TestSilentNodesDoNotForward(t *testing.T) {
	for _, p := range []Profile{Default(), Tuned()} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/silent=%v", p.Name, silent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVillage(t, 3, [][2]int{{0, 1}, {1, 2}}) // the middle one is the only way
					v.seats[1].Silent = silent
					v.live(p, func(ctx context.Context) {
						m := message(sim.Tx, 250, 1)
						require.NoError(t, v.nodes[0].Publish(ctx, m))
						time.Sleep(drained)
						copies, _ := v.notes[1].totals()
						require.Equal(t, 1, copies, "it sits in the mesh and is sent everything")
						require.Equal(t, !silent, v.notes[2].has(m.ID))
						copies, _ = v.notes[0].totals()
						require.Zero(t, copies)
						require.ElementsMatch(t, []peer.ID{v.seats[0].ID, v.seats[2].ID}, v.nodes[1].MeshPeers(sim.Tx))
					})
				})
			})
		}
	}
}

func TestChecksCostTheirTime(t *testing.T) {
	const cost = 100 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2, [][2]int{{0, 1}})
		v.seats[1].VerifyCost = cost
		v.live(Default(), func(ctx context.Context) {
			first, second := message(sim.Tx, 250, 1), message(sim.Tx, 250, 2)
			began := time.Now()
			require.NoError(t, v.nodes[0].Publish(ctx, first))
			require.NoError(t, v.nodes[0].Publish(ctx, second))
			time.Sleep(drained)
			took := []time.Duration{v.notes[1].when(first.ID).Sub(began), v.notes[1].when(second.ID).Sub(began)}
			slices.Sort(took)
			require.InDelta(t, (oneWay + cost).Seconds(), took[0].Seconds(), 0.01)
			require.InDelta(t, (oneWay + 2*cost).Seconds(), took[1].Seconds(), 0.01, "one at a time")
		})
	})
}

// muted is a host whose stream handlers nobody is told of: what becomes of one
// that registers them too early.
type muted struct{ host.Host }

func (muted) SetStreamHandler(protocol.ID, network.StreamHandler) {}

func (muted) SetStreamHandlerMatch(protocol.ID, func(protocol.ID) bool, network.StreamHandler) {}

func TestDeafHostsAreReplaced(t *testing.T) {
	for _, c := range []struct {
		name  string
		muted int // hosts of seat 1, one after the other
		fails bool
	}{
		{"never", 0, false},
		{"the first", 1, false},
		{"all but the last", attempts - 1, false},
		{"all", attempts, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillage(t, 3, everyone(3)[:1])
				v.seats[0].Neighbours = append(v.seats[0].Neighbours, peer.AddrInfo{ID: v.seats[2].ID, Addrs: []multiaddr.Multiaddr{addr(2)}})
				v.net.Start()
				defer v.net.Close()
				ctx, cancel := context.WithCancel(context.Background())
				hosts := 0
				v.seats[1].NewHost = func(...libp2p.Option) (host.Host, error) {
					h, err := v.host(1)
					if hosts++; hosts <= c.muted {
						h = muted{h}
					}
					return h, err
				}
				var running sync.WaitGroup
				errs := make([]error, len(v.seats))
				for i, s := range v.seats {
					n := newNode(Default(), s, new(notes))
					v.nodes = append(v.nodes, n)
					running.Go(func() { errs[i] = n.Run(ctx) })
				}
				time.Sleep((attempts + 1) * (hearing + time.Second))
				ready := false
				select {
				case <-v.nodes[1].Ready():
					ready = true
				default:
				}
				cancel()
				running.Wait()
				require.Equal(t, !c.fails, ready)
				require.NoError(t, errs[0])
				require.NoError(t, errs[2])
				if c.fails {
					require.ErrorIs(t, errs[1], Deaf)
					require.Equal(t, attempts, hosts)
					return
				}
				require.NoError(t, errs[1])
				require.Equal(t, c.muted+1, hosts)
			})
		})
	}
}

func TestProfilesAreWhatTheyClaim(t *testing.T) {
	require.Equal(t, pubsub.DefaultGossipSubParams(), Default().Params, "the library as it comes")
	tuned := Tuned().Params
	tuned.D, tuned.Dlo, tuned.Dhi = pubsub.GossipSubD, pubsub.GossipSubDlo, pubsub.GossipSubDhi
	tuned.HeartbeatInterval = pubsub.GossipSubHeartbeatInterval
	tuned.HistoryLength, tuned.HistoryGossip = pubsub.GossipSubHistoryLength, pubsub.GossipSubHistoryGossip
	require.Equal(t, pubsub.DefaultGossipSubParams(), tuned, "nothing else is tuned")

	for _, c := range []struct {
		profile        Profile
		relay          string
		d, dlo, dhi    int
		heartbeat      time.Duration
		length, gossip int
		queue          int
		options        int
		signed         bool
	}{
		{Default(), "stock", 6, 5, 12, time.Second, 5, 3, 0, 1, true},
		{Tuned(), "stock-tuned", 8, 6, 12, 700 * time.Millisecond, 6, 3, 600, 6, false},
	} {
		t.Run(c.relay, func(t *testing.T) {
			p := c.profile
			require.Contains(t, Relays(), c.relay)
			require.Equal(t, c.relay, p.Name)
			require.Equal(t, []int{c.d, c.dlo, c.dhi, c.length, c.gossip},
				[]int{p.Params.D, p.Params.Dlo, p.Params.Dhi, p.Params.HistoryLength, p.Params.HistoryGossip})
			require.Equal(t, c.heartbeat, p.Params.HeartbeatInterval)
			require.Equal(t, c.queue, p.Queue)
			require.Len(t, p.options(250), c.options)
			require.Len(t, p.options(pubsub.DefaultMaxMessageSize-1), c.options)
			require.Len(t, p.options(pubsub.DefaultMaxMessageSize), c.options+1, "the bound is raised")
			synctest.Test(t, func(t *testing.T) {
				v := newVillage(t, 2, [][2]int{{0, 1}})
				v.live(p, func(ctx context.Context) {
					sub, err := v.nodes[1].joined[sim.Tx].Subscribe()
					require.NoError(t, err)
					defer sub.Cancel()
					sent := message(sim.Tx, 250, 1)
					require.NoError(t, v.nodes[0].Publish(ctx, sent))
					m, err := sub.Next(ctx)
					require.NoError(t, err)
					require.Equal(t, sent.Data, m.GetData())
					if c.signed {
						require.Equal(t, v.seats[0].ID, m.GetFrom())
						require.Len(t, m.GetSeqno(), 8)
						require.Len(t, m.GetSignature(), 64)
						require.Equal(t, string(m.From)+string(m.GetSeqno()), m.ID)
						return
					}
					require.Empty(t, m.From)
					require.Empty(t, m.GetSeqno())
					require.Empty(t, m.GetSignature())
					require.Equal(t, string(sent.ID[:20]), m.ID)
				})
			})
		})
	}
}

// TestWhatIsGivenUpIsCounted counts one of each kind of loss.
func TestWhatIsGivenUpIsCounted(t *testing.T) {
	w := new(notes)
	tr := newTracer("self", w)
	topic := topics[sim.Tx]
	m := &pubsub.Message{Message: &pb.Message{Topic: &topic}, ReceivedFrom: "peer"}
	own := &pubsub.Message{Message: &pb.Message{Topic: &topic}, ReceivedFrom: "self"}
	for _, c := range []struct {
		name            string
		does            func()
		copies, dropped int
	}{
		{"a delivery", func() { tr.DeliverMessage(m) }, 1, 0},
		{"a delivery of one's own", func() { tr.DeliverMessage(own) }, 0, 0},
		{"a duplicate", func() { tr.DuplicateMessage(m) }, 1, 0},
		{"ignored", func() { tr.RejectMessage(m, pubsub.RejectValidationIgnored) }, 1, 0},
		{"no room to validate", func() { tr.RejectMessage(m, pubsub.RejectValidationQueueFull) }, 1, 1},
		{"too many at once", func() { tr.RejectMessage(m, pubsub.RejectValidationThrottled) }, 1, 1},
		{"nobody read", func() { tr.UndeliverableMessage(m) }, 0, 1},
		{"a full stream", func() {
			tr.DropRPC(&pubsub.RPC{RPC: pb.RPC{Publish: []*pb.Message{m.Message, m.Message}}}, "peer")
		}, 0, 2},
		{"control only", func() { tr.DropRPC(new(pubsub.RPC), "peer") }, 0, 0},
	} {
		w.copies, w.counts = 0, sim.Counts{}
		c.does()
		require.Equal(t, c.copies, w.copies, c.name)
		require.Equal(t, c.dropped, w.counts.Dropped, c.name)
	}
}

func TestMeshFollowsTheLibrary(t *testing.T) {
	tr := newTracer("self", new(notes))
	tr.Graft("b", "tx")
	tr.Graft("a", "tx")
	tr.Graft("a", "block")
	require.Equal(t, []peer.ID{"a", "b"}, tr.mesh("tx"))
	tr.Prune("b", "tx")
	require.Equal(t, []peer.ID{"a"}, tr.mesh("tx"))
	tr.OnClosedOutboundStream("a")
	require.Empty(t, tr.mesh("tx"))
	require.Empty(t, tr.mesh("block"))
}
