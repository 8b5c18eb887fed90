package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R176: what came, or was asked of another, while a request waited is left out of it, and its
// stream ends when nothing of it is waited for. A peer answers for what it was sent only.
func TestRequestsEndWithWhatIsLeft(t *testing.T) {
	const source = "p"
	begin := func(t *testing.T) (r *reconciler, f *fetching, over <-chan struct{}, expire func()) {
		t.Helper()
		tracker, err := fetch.New(fetch.DefaultConfig(), fetch.Key{})
		require.NoError(t, err)
		r = &reconciler{tracker: tracker, fetches: make(map[peer.ID]map[*fetching]bool)}
		now := time.Unix(1_700_000_000, 0)
		for n := range 3 {
			tracker.Announced(now, fetch.Source{Peer: source, Preferred: true}, testID(n))
			tracker.Announced(now, fetch.Source{Peer: "other"}, testID(n))
		}
		requests, _ := tracker.Tick(now)
		require.Len(t, requests, 1)
		f, within := r.asking(t.Context(), requests[0])
		return r, f, within.Done(), func() {
			_, broken := tracker.Tick(now.Add(fetch.DefaultConfig().MaxExpiry))
			require.NotEmpty(t, broken)
			for _, b := range broken {
				r.expired(now, b)
			}
		}
	}
	ended := func(over <-chan struct{}) bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	}

	t.Run("before it is sent", func(t *testing.T) {
		r, f, _, expire := begin(t)
		r.tracker.Arrived(testID(1)) // by gossip
		expire()
		require.Len(t, f.left, 1, "only what came is left")
		require.Empty(t, r.send(f))
		require.Empty(t, r.pledges.peers, "it was not asked")
		r.finish(f, 0, true)
		require.Empty(t, r.fetches)
	})
	t.Run("some came", func(t *testing.T) {
		r, f, over, _ := begin(t)
		r.tracker.Arrived(testID(1))
		require.ElementsMatch(t, []wire.TxID{testID(0), testID(2)}, r.send(f))
		require.False(t, ended(over))
	})
	t.Run("after it is sent", func(t *testing.T) {
		r, f, over, expire := begin(t)
		require.Len(t, r.send(f), 3)
		expire()
		require.True(t, ended(over))
		require.Len(t, r.pledges.peers[source].lapses, 3)
		r.finish(f, 0, true)
		require.Len(t, r.pledges.peers[source].lapses, 3, "each counts once")
	})
	t.Run("with nothing in the answer", func(t *testing.T) {
		r, f, _, _ := begin(t)
		require.Len(t, r.send(f), 3)
		r.finish(f, 0, false)
		require.Len(t, r.pledges.peers[source].lapses, 3)
		requests, _ := r.tracker.Tick(time.Unix(1_700_000_001, 0))
		require.Len(t, requests, 1)
		require.Len(t, requests[0].IDs, 3, "another is asked")
	})
	t.Run("with a part of the answer", func(t *testing.T) {
		r, f, _, _ := begin(t)
		require.Len(t, r.send(f), 3)
		r.finish(f, 1, false)
		require.Empty(t, r.pledges.peers, "an answer may stop early")
	})
}
