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
		n.up = true
		m, fresh := r.join("peer")
		require.True(t, fresh)
		require.Equal(t, back, m.returned)
		n.up = false
		_, left := r.leave("peer")
		require.True(t, left)
	}
}

// plug is a network with one connection, or none.
type plug struct {
	network.Network
	up bool
}

func (p *plug) ConnsToPeer(peer.ID) []network.Conn {
	if !p.up {
		return nil
	}
	return []network.Conn{wired{}}
}

type wired struct{ network.Conn }

func (wired) RemoteMultiaddr() multiaddr.Multiaddr {
	return multiaddr.StringCast("/ip4/1.2.3.4/udp/1/quic-v1")
}
func (wired) Stat() network.ConnStats { return network.ConnStats{} }
