package overlay

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Half of those that are drawn are of each kind, where there are so many, and all are used
// where there are too few.
func TestReserveIsDrawnFromBothKinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		named := func(kind string) (list []peer.ID) {
			for i := range rapid.IntRange(0, 6).Draw(t, kind) {
				list = append(list, peer.ID(fmt.Sprint(kind, i)))
			}
			return list
		}
		s, n := spares{named("dialled"), named("useful")}, rapid.IntRange(1, 8).Draw(t, "n")
		got := s.draw(n)
		require.Len(t, got, min(n, len(s.dialled)+len(s.useful)))
		of := func(list []peer.ID) (k int) {
			for _, p := range got {
				if slices.Contains(list, p) {
					k++
				}
			}
			return k
		}
		require.GreaterOrEqual(t, of(s.dialled), min(len(s.dialled), n-n/2))
		require.GreaterOrEqual(t, of(s.useful), min(len(s.useful), n/2))
		require.Equal(t, len(got), of(s.dialled)+of(s.useful))
	})
}

// reserved is a node with one link in its mesh and peers outside of it, and whom it sends
// what in reserve.
func reserved(t *testing.T) (r *reserve, members map[peer.ID]*member, sent map[string][]peer.ID) {
	t.Helper()
	members, sent = make(map[peer.ID]*member), make(map[string][]peer.ID)
	roster := &roster{now: time.Now, members: members}
	s := newSentry(peerscore.DefaultLookoutConfig(), roster, new(crew), slog.New(slog.DiscardHandler))
	r = &reserve{
		want: 2, roster: roster, links: newLinks(), sentry: s, outflow: newOutflow(600), crew: new(crew), pace: rate.NewLimiter(reserveCopies, reserveCopies),
		sent: func(to peer.ID, raw []byte) { sent[string(raw)] = append(sent[string(raw)], to) },
	}
	r.prompt = newTestPrompt(r)
	r.crew.wait() // nothing is written here
	for _, p := range []peer.ID{"mesh", "dialled", "useful", "stranger", "guest"} {
		members[p] = &member{id: p, standing: greeted, direction: network.DirInbound}
		s.opened(&trackedStream{to: p, sentry: s, written: r.outflow.written})
	}
	members["dialled"].direction = network.DirOutbound
	members["mesh"].direction = network.DirOutbound
	members["useful"].useful = time.Now()
	members["guest"].standing, members["guest"].useful = guest, time.Now()
	r.links.set("mesh", true)
	s.meshed("mesh", true)
	return r, members, sent
}

// R116: whom a transaction is sent to beside the mesh, and when it is not.
func TestWhoIsInReserve(t *testing.T) {
	both := []peer.ID{"dialled", "useful"}
	for _, c := range []struct {
		name   string
		change func(r *reserve, members map[peer.ID]*member)
		want   []peer.ID
	}{
		{"the mesh gives nothing", func(*reserve, map[peer.ID]*member) {}, both},
		{"one is wanted", func(r *reserve, _ map[peer.ID]*member) { r.want = 1 }, []peer.ID{"dialled"}},
		{"it gives enough", func(r *reserve, _ map[peer.ID]*member) { r.want = 1; r.sentry.first("mesh", []byte("other")) }, nil},
		{"others gave enough", func(r *reserve, _ map[peer.ID]*member) { r.want = 1; r.sentry.first("useful", []byte("other")) }, []peer.ID{"dialled"}},
		{"one has it", func(r *reserve, _ map[peer.ID]*member) { r.sentry.first("dialled", []byte("tx")) }, []peer.ID{"useful"}},
		{"one was useful long ago", func(_ *reserve, m map[peer.ID]*member) { m["useful"].useful = time.Now().Add(-2 * reserveMemory) }, []peer.ID{"dialled"}},
		{"one has a bad score", func(_ *reserve, m map[peer.ID]*member) { m["dialled"].txScore = -1 }, []peer.ID{"useful"}},
		{"one does not read", func(r *reserve, _ map[peer.ID]*member) {
			for range fullLine {
				r.outflow.queued("dialled")
			}
		}, []peer.ID{"useful"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, members, sent := reserved(t)
			c.change(r, members)
			r.pass([]byte("tx"))
			require.ElementsMatch(t, c.want, sent["tx"])
			require.Less(t, r.outflow.depth("useful"), 1, "what was not written does not wait")
		})
	}
	r, _, sent := reserved(t)
	large := string(make([]byte, sentryLargest))
	r.pass([]byte(large))
	require.Empty(t, sent[large], "of a large one")
}

func TestReserveIsPaced(t *testing.T) {
	r, _, sent := reserved(t)
	r.pace.SetLimit(0)
	for i := range reserveCopies {
		r.pass(fmt.Append(nil, i))
	}
	require.Len(t, sent, reserveCopies/2, "two copies each")
}

// A mesh that is full has no room for more, whoever is in it.
func TestNoReserveWhereLinesAreFull(t *testing.T) {
	r, _, sent := reserved(t)
	for _, p := range []peer.ID{"mesh", "second"} {
		r.links.set(p, true)
		for range fullLine {
			r.outflow.queued(p)
		}
	}
	r.pass([]byte("tx"))
	require.Empty(t, sent)
}
