package overlay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// R166: there are never more places than there may be. One is lost only when all are taken, by
// who holds most, at least two more than who gets it, and it is the one held longest. Failing that,
// one of ours that holds none gets the place held longest by who is not ours and lost none so in displaceGap.
func TestSeatsAreSharedFairly(t *testing.T) {
	type held struct {
		serial  int
		peer    peer.ID
		release func()
	}
	peers := []peer.ID{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		ours := rapid.SliceOfDistinct(rapid.SampledFrom(peers), rapid.ID).Draw(t, "ours")
		isOurs := func(p peer.ID) bool { return slices.Contains(ours, p) }
		s := newSeats(rapid.IntRange(1, 8).Draw(t, "total"), isOurs)
		var all, gone []held // all that are held now, the longest held first; those that were lost
		serial, lost := 0, 0
		now, robbed := time.Unix(1_000, 0), map[peer.ID]time.Time{}
		s.now = func() time.Time { return now }
		of := func(p peer.ID) (mine []held) {
			for _, h := range all {
				if h.peer == p {
					mine = append(mine, h)
				}
			}
			return mine
		}
		without := func(serial int) (h held) {
			i := slices.IndexFunc(all, func(h held) bool { return h.serial == serial })
			h = all[i]
			all = slices.Delete(all, i, i+1)
			return h
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				p := rapid.SampledFrom(peers).Draw(t, "peer")
				mine, full, most := len(of(p)), len(all) == s.total, 0
				stranger := slices.IndexFunc(all, func(h held) bool {
					at, ok := robbed[h.peer]
					return !isOurs(h.peer) && (!ok || now.Sub(at) >= displaceGap)
				})
				if !isOurs(p) || mine > 0 {
					stranger = -1
				}
				for _, o := range peers {
					most = max(most, len(of(o)))
				}
				serial++
				this := serial
				lost = 0
				release, ok := s.take(p, func() { lost = this })
				require.Equal(t, !full || most >= mine+2 || stranger >= 0, ok)
				switch {
				case full && ok && most < mine+2:
					require.Equal(t, all[stranger].serial, lost)
					robbed[all[stranger].peer] = now
					gone = append(gone, without(lost))
				case full && ok:
					loser := without(lost)
					require.Equal(t, most, len(of(loser.peer))+1)
					for _, other := range of(loser.peer) {
						require.Less(t, loser.serial, other.serial)
					}
					gone = append(gone, loser)
				default:
					require.Zero(t, lost)
				}
				if ok {
					all = append(all, held{this, p, release})
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(1, int64(displaceGap)).Draw(t, "for")))
			},
			"leave": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("nobody holds any")
				}
				without(rapid.SampledFrom(all).Draw(t, "which").serial).release()
			},
			"leave late": func(t *rapid.T) {
				for _, h := range gone {
					h.release() // counts for nothing
				}
				gone = nil
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, len(all), s.total)
				require.Equal(t, len(all), s.taken)
				for _, p := range peers {
					require.Len(t, s.of[p], len(of(p)))
				}
			},
		})
	})
}

// R166: strangers with one place each, who come again at once, keep nobody of ours out.
func TestStrangersWithOnePlaceEachKeepOutNobodyOfOurs(t *testing.T) {
	s := newSeats(32, func(p peer.ID) bool { return p == "ours" })
	now := time.Unix(1_000, 0)
	s.now = func() time.Time { return now }
	for range 100 {
		for s.taken < s.total {
			_, ok := s.take(peer.ID(fmt.Sprint("stranger ", s.last)), func() {})
			require.True(t, ok)
		}
		release, ok := s.take("ours", func() {})
		require.True(t, ok)
		release()
		now = now.Add(time.Second)
	}
	require.LessOrEqual(t, len(s.robbed), int(displaceGap/time.Second))
}

// R166: a public node has a place for a session with each peer that it has room for.
func TestAllPeersMayBeginASession(t *testing.T) {
	require.GreaterOrEqual(t, DefaultLimits().ServeRecon, DefaultDial().Inbound+DefaultDial().Outbound)
}
