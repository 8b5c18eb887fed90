package main

import (
	"encoding/binary"
	"io"
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

	"github.com/libp2p/go-libp2p"
	libnetwork "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// savingTime is the longest that a peer which was found waits for the disk by
// docs/operations.md, and the rest is for a loaded machine.
const savingTime = 15 * time.Second

// banTime is the same of a ban that a peer earned, by docs/protocol.md a second. Reputations
// alone would wait for a minute.
const banTime = 10 * time.Second

// offence is what a peer of an earlier life is guilty of, in points of peerscore.
const offence = 30

// TestMemoryOfPeersSurvivesAKill kills a daemon with SIGKILL, which keeps what it knows of
// others: whom the operator banned is refused, and who earned a ban by what it sent; what a peer
// did weighs on, the peers it found are found again without anybody's help, and its anchor is
// dialled as one.
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
	victim.requireMemory(t, stranger, ban)

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

	// No ban by hand, which would have all of them written down, is between this one and the kill.
	villain, banned := victim.misbehave(t)
	var earned api.Ban
	var bans api.Bans
	commandJSON(t, &bans, "peer", "bans", "--api", sock)
	for _, b := range bans.Bans {
		if b.Subject == villain {
			earned = b
		}
	}
	require.Equal(t, villain, earned.Subject)
	require.False(t, earned.ByHand)
	victim.until(t, "write down the ban that was earned", func() bool {
		b, err := os.ReadFile(filepath.Join(data, "reputation"))
		require.NoError(t, err)
		saved, err := peerscore.DecodeSaved(b)
		require.NoError(t, err)
		return slices.ContainsFunc(saved.Standings, func(s peerscore.Standing) bool {
			return peer.ID(s.Peer).String() == villain && !s.BannedUntil.IsZero()
		})
	})
	require.Less(t, time.Since(banned), banTime)
	t.Logf("the ban that was earned was on disk %v later", time.Since(banned))
	victim.end(t, syscall.SIGKILL)
	anchor.end(t, syscall.SIGKILL)
	victim.start(t)
	victim.awaitAPI(t)
	victim.until(t, "find by itself whom it met", func() bool { return whys()[idOf(found)] == "book" })
	victim.requireMemory(t, stranger, ban, earned)
	s, err := victim.api.Score(t.Context(), villain)
	require.NoError(t, err)
	require.GreaterOrEqual(t, s.Guilt, peerscore.DefaultConfig().BanAt-1, "it is as guilty as when it was banned")

	turnedAway := func() int { return strings.Count(enemy.log.String(), "bootstrap peer cannot be reached") }
	before := turnedAway()
	enemy.end(t, syscall.SIGKILL)
	enemy.start(t)
	enemy.until(t, "be turned away", func() bool { return turnedAway() > before })
	require.NotContains(t, whys(), idOf(enemy))
}

// misbehave connects a peer that says hello, as others do, and then sends frames that are none
// until the daemon has banned it. It returns who that was, and when.
func (d *daemon) misbehave(t *testing.T) (villain string, banned time.Time) {
	t.Helper()
	g, err := d.api.Genesis(t.Context())
	require.NoError(t, err)
	at, err := peer.AddrInfoFromString(d.addr)
	require.NoError(t, err)
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	defer h.Close()
	villain = h.ID().String()
	hello := (&wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion}).AppendTo(nil)
	hello = append(binary.AppendUvarint(nil, uint64(len(hello))), hello...)
	h.SetStreamHandler(overlay.HelloProtocol, func(s libnetwork.Stream) {
		_, _ = s.Write(hello)
		_ = s.CloseWrite()
		_, _ = io.Copy(io.Discard, s)
	})
	require.NoError(t, h.Connect(t.Context(), *at))
	say := func(id protocol.ID, raw []byte) {
		s, err := h.NewStream(t.Context(), at.ID, id)
		if err != nil {
			return // it was cut, or will be heard the next time
		}
		_ = s.SetDeadline(time.Now().Add(settleTime))
		_, _ = s.Write(raw)
		_, _ = io.Copy(io.Discard, s)
		_ = s.Reset()
	}
	say(overlay.HelloProtocol, hello)
	d.until(t, "ban who sends rubbish", func() bool {
		say("/meshsub/1.1.0", []byte{0x80, 0x00}) // a length that is not minimal
		s, err := d.api.Score(t.Context(), villain)
		return err == nil && s.BannedUntil != 0
	})
	return villain, time.Now()
}

// requireMemory demands that a daemon remembers these bans and no others, and what a peer did.
func (d *daemon) requireMemory(t *testing.T, offender string, want ...api.Ban) {
	t.Helper()
	var bans api.Bans
	commandJSON(t, &bans, "peer", "bans", "--api", filepath.Join(d.home, "api.sock"))
	require.ElementsMatch(t, want, bans.Bans)
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
