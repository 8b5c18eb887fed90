package overlay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// lostHost reaches nobody: each dial hangs for a while and fails.
type lostHost struct {
	host.Host
	hangs time.Duration

	mu    sync.Mutex // guards what follows
	dials []time.Time
}

func (h *lostHost) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }
func (h *lostHost) Network() network.Network         { return nobody{} }
func (h *lostHost) Peerstore() peerstore.Peerstore   { return forgetful{} }

func (h *lostHost) Connect(ctx context.Context, _ peer.AddrInfo) error {
	h.mu.Lock()
	h.dials = append(h.dials, time.Now())
	h.mu.Unlock()
	sleep(ctx, h.hangs)
	return errors.New("nobody answers")
}

// dialled returns when there were dials.
func (h *lostHost) dialled() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.dials)
}

type nobody struct{ unplugged }

func (nobody) Connectedness(peer.ID) network.Connectedness { return network.NotConnected }

type forgetful struct{ peerstore.Peerstore }

func (forgetful) AddAddrs(peer.ID, []multiaddr.Multiaddr, time.Duration) {}

// R110: when a peer comes back, others that were dialled in vain are dialled again at once,
// whether a pause was under way or a dial that drags on; but not for each of many.
func TestWhoComesBackHasOthersDialledAgain(t *testing.T) {
	for name, hangs := range map[string]time.Duration{"pausing": time.Millisecond, "dialling": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, back := &lostHost{hangs: hangs}, newReturns()
				b := &bootstrapper{
					host: h, roster: newRoster(Limits{}, nobody{}, time.Now, nil, nil), log: slog.New(slog.DiscardHandler),
					addr: peer.AddrInfo{ID: "lost"}, pace: newDialPace(), back: back,
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); b.run(ctx) }()
				time.Sleep(20 * time.Minute)
				// Neither falls into the first second of a dial: those are left alone.
				before := len(h.dialled())
				for time.Since(h.dialled()[before-1]) < 2*time.Second {
					time.Sleep(time.Second)
					before = len(h.dialled())
				}
				back.note(time.Now())
				synctest.Wait()
				require.Len(t, h.dialled(), before+1)
				require.Equal(t, time.Now(), h.dialled()[before])

				time.Sleep(returnsEvery / 2)
				few := len(h.dialled())
				for range 10 {
					back.note(time.Now())
					synctest.Wait()
				}
				require.Len(t, h.dialled(), few)
				cancel()
				<-done
			})
		})
	}
}

// Who was here before and comes again has come back; who is new has not.
func TestWhoCameBack(t *testing.T) {
	n := new(plug)
	r := newRoster(DefaultLimits(), n, time.Now, nil, nil)
	for _, back := range []bool{false, true, true} {
		n.up = []network.Conn{wired{}}
		m, fresh, _ := r.join("peer")
		require.True(t, fresh)
		require.Equal(t, back, m.returned)
		n.up = nil
		_, left := r.leave("peer")
		require.True(t, left)
	}
}

// Who connects anew before we are told that its last connection closed is not taken for who it
// was: it is looked at, and greeted, as all who come. A second connection beside the first
// changes nothing.
func TestWhoConnectsAnewIsMetAnew(t *testing.T) {
	n := new(plug)
	r := newRoster(DefaultLimits(), n, time.Now, nil, nil)
	meet := func(conns ...int) (m *member, fresh bool, left *member) {
		n.up = nil
		for _, c := range conns {
			n.up = append(n.up, wired{number: c})
		}
		return r.join("peer")
	}
	first, fresh, left := meet(1)
	require.True(t, fresh)
	require.False(t, first.anew)
	require.Nil(t, left)
	require.True(t, r.settle(first, refused))
	for _, conns := range [][]int{{1}, {1, 2}, {2}, {2, 3}, {}} {
		m, fresh, left := meet(conns...)
		require.Same(t, first, m, "%v", conns)
		require.False(t, fresh)
		require.Nil(t, left)
	}

	second, fresh, left := meet(4)
	require.True(t, fresh)
	require.True(t, second.anew)
	require.Equal(t, refused, left.standing)
	require.True(t, isClosed(first.gone))
	require.Equal(t, unsettled, r.standing("peer"))
	require.Same(t, first.budget, second.budget, "it refills nothing")
	_, gone := r.leave("peer")
	require.False(t, gone, "the end of the first is told too late")
	n.up = nil
	_, gone = r.leave("peer")
	require.True(t, gone)
}

// plug is a network with these connections to a peer.
type plug struct {
	network.Network
	up []network.Conn
}

func (p *plug) ConnsToPeer(peer.ID) []network.Conn { return p.up }

type wired struct {
	network.Conn
	number int
}

func (wired) RemoteMultiaddr() multiaddr.Multiaddr {
	return multiaddr.StringCast("/ip4/1.2.3.4/udp/1/quic-v1")
}
func (wired) Stat() network.ConnStats { return network.ConnStats{} }
