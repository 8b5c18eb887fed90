package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// savingTime is the longest that a peer which was found waits for the disk by
// docs/operations.md, and the rest is for a loaded machine.
const savingTime = 15 * time.Second

// offence is what a peer of an earlier life is guilty of, in points of peerscore.
const offence = 30

// TestMemoryOfPeersSurvivesAKill kills a daemon with SIGKILL, which keeps what it knows of
// others: whom the operator banned is refused, what a peer did weighs on, the peers it found
// are found again without anybody's help, and its anchor is dialled as one.
//
// R80, R84: the address book and the bans outlive the process.
func TestMemoryOfPeersSurvivesAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	const stranger = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	nw := newNetwork(t, 4, 1, time.Second)
	victim, anchor, found, enemy := nw.daemons[0], nw.daemons[1], nw.daemons[2], nw.daemons[3]
	for _, d := range nw.daemons {
		d.args = slices.DeleteFunc(d.args, func(a string) bool { return a == "--bootstrap" || strings.Contains(a, "/p2p/") })
	}
	// Only the victim looks for peers.
	anchor.args = append(anchor.args, "--peers-outbound", "0")
	found.args = append(found.args, "--peers-outbound", "0", "--bootstrap", anchor.addr)
	enemy.args = append(enemy.args, "--peers-outbound", "0", "--bootstrap", victim.addr)
	// The anchor and the offender are of an earlier life; one more was not met yet.
	data := filepath.Join(victim.home, "data")
	require.NoError(t, os.MkdirAll(data, 0o700))
	book := anchored(t, addressOf(t, anchor.addr))
	require.NoError(t, os.WriteFile(filepath.Join(data, "peers"), book, 0o600))
	id, err := peer.Decode(stranger)
	require.NoError(t, err)
	past := peerscore.Saved{At: time.Now(), Standings: []peerscore.Standing{{Peer: peerscore.PeerID(id), Guilt: offence}}}
	require.NoError(t, os.WriteFile(filepath.Join(data, "reputation"), past.Encode(), 0o600))
	for _, d := range nw.daemons {
		d.start(t)
	}
	victim.awaitAPI(t)
	sock := filepath.Join(victim.home, "api.sock")
	// whys says of each peer of the victim why it was dialled.
	whys := func() map[string]string {
		peers, err := victim.api.Peers(t.Context())
		if err != nil {
			return nil
		}
		out := make(map[string]string)
		for _, p := range peers {
			out[p.ID] = p.Why
		}
		return out
	}
	victim.until(t, "dial its anchor, and be found by its enemy", func() bool {
		have := whys()
		_, met := have[idOf(enemy)]
		return have[idOf(anchor)] == "anchor" && met
	})

	// The very moment that the ban was confirmed.
	var ban api.Ban
	commandJSON(t, &ban, "peer", "ban", idOf(enemy), "--for", "1h", "--reason", "told me so", "--api", sock)
	victim.end(t, syscall.SIGKILL)
	victim.start(t)
	victim.awaitAPI(t)
	victim.until(t, "dial its anchor again", func() bool { return whys()[idOf(anchor)] == "anchor" })
	victim.requireMemory(t, ban, stranger)

	// The anchor tells of another, who is written down once it was reached.
	begun := time.Now()
	victim.until(t, "find another", func() bool { return whys()[idOf(found)] == "book" })
	reached := time.Now()
	victim.until(t, "write it down", func() bool {
		b, err := os.ReadFile(filepath.Join(data, "peers"))
		require.NoError(t, err)
		return strings.Contains(string(b), string(addressOf(t, found.addr).Peer))
	})
	require.Less(t, time.Since(reached), savingTime)
	t.Logf("another was found %v after the restart, and on disk %v later", reached.Sub(begun), time.Since(reached))
	victim.end(t, syscall.SIGKILL)
	anchor.end(t, syscall.SIGKILL)
	victim.start(t)
	victim.awaitAPI(t)
	victim.until(t, "find by itself whom it met", func() bool { return whys()[idOf(found)] == "book" })
	victim.requireMemory(t, ban, stranger)

	turnedAway := func() int { return strings.Count(enemy.log.String(), "bootstrap peer cannot be reached") }
	before := turnedAway()
	enemy.end(t, syscall.SIGKILL)
	enemy.start(t)
	enemy.until(t, "be turned away", func() bool { return turnedAway() > before })
	require.NotContains(t, whys(), idOf(enemy))
}

// requireMemory demands that a daemon remembers one ban, and what a peer did.
func (d *daemon) requireMemory(t *testing.T, ban api.Ban, offender string) {
	t.Helper()
	var bans api.Bans
	commandJSON(t, &bans, "peer", "bans", "--api", filepath.Join(d.home, "api.sock"))
	require.Equal(t, []api.Ban{ban}, bans.Bans)
	s, err := d.api.Score(t.Context(), offender)
	require.NoError(t, err)
	require.InDelta(t, offence, s.Guilt, 1)
}

// anchored is an address book with one anchor, as a daemon writes it.
func anchored(t *testing.T, a dial.Address) []byte {
	t.Helper()
	cfg := dial.DefaultConfig()
	cfg.AllowPrivate = true
	k, err := dial.New(cfg, dial.Key{1}, []dial.Address{a}, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	now := time.Now().Add(-time.Hour)
	require.Len(t, k.Tick(now, nil), 1)
	require.True(t, k.Connected(now, a))
	k.Gone(now.Add(10*time.Minute), a.Peer)
	require.Equal(t, []dial.Address{a}, k.Anchors())
	return k.AppendTo(now.Add(time.Hour), nil)
}

// addressOf is the address of a daemon, for its address book.
func addressOf(t *testing.T, text string) dial.Address {
	t.Helper()
	info, err := peer.AddrInfoFromString(text)
	require.NoError(t, err)
	at, err := manet.ToNetAddr(info.Addrs[0])
	require.NoError(t, err)
	ap := at.(*net.TCPAddr).AddrPort()
	return dial.Address{Peer: peerscore.PeerID(info.ID), At: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), Over: dial.TCP}
}

func idOf(d *daemon) string { return d.addr[strings.LastIndex(d.addr, "/")+1:] }
