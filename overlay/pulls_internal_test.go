package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// R87: of several peers that announce a message one is asked at a time.
func TestPullsAskOnePeerAtATime(t *testing.T) {
	p := newPulls(500*time.Millisecond, time.Minute, 100)
	now := time.UnixMilli(1_000_000)
	require.Equal(t, []string{"x"}, p.announced(now, "a", []string{"x"}))
	require.Empty(t, p.announced(now, "a", []string{"x", "x"}), "asked already")
	require.Equal(t, []string{"y"}, p.announced(now, "b", []string{"x", "y"}))
	require.Empty(t, p.announced(now, "c", []string{"x", "y"}))

	next, wait := p.overdue(now)
	require.Empty(t, next)
	require.Equal(t, 500*time.Millisecond, wait)
	p.arrived(now, "b", "y", 10)

	now = now.Add(500 * time.Millisecond)
	next, wait = p.overdue(now)
	require.Equal(t, map[peer.ID][]string{"b": {"x"}}, next, "y came; for x the next is asked")
	require.Equal(t, 500*time.Millisecond, wait)
	require.Equal(t, []string{"x"}, p.announced(now, "b", []string{"x"}), "as told")
	require.Empty(t, p.announced(now, "b", []string{"x"}))

	now = now.Add(500 * time.Millisecond)
	next, _ = p.overdue(now)
	require.Equal(t, map[peer.ID][]string{"c": {"x"}}, next)
	now = now.Add(500 * time.Millisecond)
	next, wait = p.overdue(now)
	require.Empty(t, next)
	require.Zero(t, wait)
	require.Equal(t, []string{"x"}, p.announced(now, "a", []string{"x"}), "the router announces it again")
	p.arrived(now, "", "x", 10)
	require.Empty(t, p.announced(now, "b", []string{"x"}))
}

// R87: who announces and does not send soon holds up nobody.
func TestPullsDoNotTrustWithholders(t *testing.T) {
	p := newPulls(500*time.Millisecond, time.Minute, 100)
	now := time.UnixMilli(1_000_000)
	held := 0
	for i := range 30 {
		id := []string{fmt.Sprint(i)}
		require.Len(t, p.announced(now, "withholder", id), 1)
		if len(p.announced(now, "honest", id)) == 0 {
			held++
		}
		for range 2 { // the honest peer sends it as soon as it is asked
			if q := p.open[id[0]]; q != nil && q.from == "honest" {
				p.arrived(now, "honest", id[0], 1)
			}
			now = now.Add(500 * time.Millisecond)
			p.overdue(now)
		}
	}
	require.Equal(t, pullTrust, held)
	require.Zero(t, p.asked["honest"].unkept)
	p.announced(now, "withholder", []string{"kept"})
	p.arrived(now, "withholder", "kept", 1)
	require.Equal(t, []string{"z"}, p.announced(now, "withholder", []string{"z"}))
}

// R88: a peer gets a message that it asks for as often as it is announced, within its budget.
func TestPullsGrantWishesWithinBounds(t *testing.T) {
	p := newPulls(time.Second, time.Minute, 100)
	now := time.UnixMilli(1_000_000)
	p.arrived(now, "a", "x", 100)
	p.arrived(now, "a", "big", 1000)
	left := 500
	afford := func(size int) bool {
		if size > left {
			return false
		}
		left -= size
		return true
	}
	w := p.wanted("b", []string{"x", "big", "none"}, afford)
	require.Equal(t, wish{known: []string{"x"}, unknown: 1}, w)
	w = p.wanted("b", []string{"x", "x", "x"}, afford)
	require.Equal(t, wish{known: []string{"x", "x"}, repeats: 1}, w)
	left = 5000
	require.Equal(t, wish{known: []string{"big"}}, p.wanted("b", []string{"big"}, afford), "what was not given may be asked for again")
	require.Equal(t, wish{known: []string{"x"}}, p.wanted("c", []string{"x"}, afford), "others have their own")
}

// Whatever comes: bounds hold, nothing is asked of two peers at once but of those that are
// not trusted, and what is open ends.
func TestPullsAgainstAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 8
		p := newPulls(time.Second, 3*time.Second, limit)
		now := time.UnixMilli(1_000_000)
		asked := map[string]time.Time{} // by a trusted peer
		t.Repeat(map[string]func(*rapid.T){
			"announce": func(t *rapid.T) {
				from := peer.ID(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "from"))
				id := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "id")
				trusted := p.asked[from] == nil || p.asked[from].unkept < pullTrust
				for range p.announced(now, from, []string{id}) {
					if at, was := asked[id]; was && trusted {
						require.GreaterOrEqual(t, now.Sub(at), time.Second, "asked of two at once")
					}
					if trusted {
						asked[id] = now
					}
				}
			},
			"arrive": func(t *rapid.T) {
				id := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "id")
				p.arrived(now, "a", id, 1)
				delete(asked, id)
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
				next, _ := p.overdue(now)
				for from, ids := range next {
					for _, id := range ids {
						require.Nil(t, p.came[0][id])
						require.Equal(t, from, p.open[id].from)
						delete(asked, id)
					}
				}
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, len(p.open), limit)
				require.LessOrEqual(t, len(p.came[0]), limit)
				for _, q := range p.open {
					require.LessOrEqual(t, len(q.waiters), pullWaiters)
				}
			},
		})
		for range pullWaiters + 2 {
			now = now.Add(time.Second)
			p.overdue(now)
		}
		require.Empty(t, p.open)
		require.Empty(t, p.order)
	})
}
