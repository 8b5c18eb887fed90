package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

func parcels(classes ...int) (out []parcel) {
	for i, c := range classes {
		out = append(out, parcel{[]byte{byte(i)}, c})
	}
	return out
}

// units is an RPC of so many units beside messages.
func units(n int) elements { return elements{units: n} }

// R41: over its budget a peer is shed from, the least valuable first, then charged.
func TestAdmissionShedsThenCharges(t *testing.T) {
	l := DefaultLimits()
	l.ShedPerCharge, l.ChargesForgiven = 10, 2
	a := newAdmission(10, 4, l)
	now := time.UnixMilli(1_000_000)
	r := a.admit(now, units(1), parcels(1, 9, 2, 3, 9))
	require.True(t, r.rest)
	require.Equal(t, []parcel{{[]byte{1}, 9}, {[]byte{4}, 9}, {[]byte{3}, 3}}, r.messages)
	require.Equal(t, 2, r.shed)
	require.Zero(t, r.charges)

	require.False(t, a.admit(now, units(0), nil).rest, "an empty RPC counts")
	r = a.admit(now.Add(200*time.Millisecond), units(0), parcels(0))
	require.True(t, r.rest, "the budget fills again")
	require.Len(t, r.messages, 1)

	charges := 0
	for range 48 { // one is within; with the three from before these are fifty
		charges += a.admit(now.Add(200*time.Millisecond), units(1), nil).charges
	}
	require.Equal(t, 3, charges, "five times ten are over, two of them forgiven")
}

// R86: truncated first, then dropped, then disconnected, and banned in the end.
func TestAdmissionGrowsStricter(t *testing.T) {
	l := DefaultLimits()
	now := time.UnixMilli(1_000_000)
	for name, flood := range map[string]elements{
		"ids":           {units: 1, ids: 5_000},
		"subscriptions": {units: 60, subscriptions: 60},
		"grafts":        {units: 1, grafts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
			first := make(map[string]time.Duration)
			note := func(what string, at time.Duration, happened bool) {
				if _, before := first[what]; happened && !before {
					first[what] = at
				}
			}
			for at := time.Duration(0); first["cut"] == 0; at += 50 * time.Millisecond {
				require.Less(t, at, 5*time.Second, "not cut in time")
				r := a.admit(now.Add(at), flood, nil)
				require.True(t, r.rest, "no unit is over its budget")
				note("truncated", at, r.keep != flood)
				note("charged", at, r.charges > 0)
				note("cut", at, r.cut)
			}
			require.Positive(t, first["truncated"], "the first was within the budget")
			require.Less(t, first["truncated"], first["charged"])
			require.Less(t, first["charged"], first["cut"])
		})
	}
}

// R89: who is killed and starts again twice a second is blamed for nothing, and who grafts as
// often over one connection is.
func TestGraftsOfManyLivesAreWithinBudget(t *testing.T) {
	l := DefaultLimits()
	for lives, blamed := range map[int]bool{600: false, 1: true} {
		a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
		now, cut := time.UnixMilli(1_000_000), false
		for i := range 600 {
			now = now.Add(500 * time.Millisecond)
			a.begin(fmt.Sprint(i % lives))
			r := a.admit(now, elements{units: 2, grafts: 2}, nil)
			cut = cut || r.cut
			require.True(t, blamed || r.charges == 0 && r.keep.grafts == 2, "life %d", i)
		}
		require.Equal(t, blamed, cut)
	}
}

// An honest peer at five times the expected traffic of a busy network is never over, nor one
// that sends all that it kept for its first listener.
func TestHonestLoadIsWithinBudget(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	l := DefaultLimits()
	a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
	for range l.KeptTxs {
		r := a.admit(now, units(0), parcels(1))
		require.True(t, r.rest && r.shed == 0)
	}
	a = newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
	for range 60 * 500 { // a minute; each message with as many announcements of others
		now = now.Add(2 * time.Millisecond)
		r := a.admit(now, units(4), parcels(1, 1))
		require.True(t, r.rest && r.shed == 0)
	}
}

// A stock client at 500 transactions a second announces those of three heartbeats in each,
// asks for as many, and comes back after each of its crashes: it is never over a budget,
// even where this process stood still for half a minute and then gets all at once.
func TestStockControlIsWithinBudget(t *testing.T) {
	const heartbeat, window = time.Second, 3 * 500
	now := time.UnixMilli(1_000_000)
	l := DefaultLimits()
	a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
	for beat := range 120 {
		if beat < 60 || beat >= 90 { // between, we do not read
			now = now.Add(heartbeat)
		}
		if beat == 90 {
			now = now.Add(30 * heartbeat)
		}
		e := elements{units: 3, ids: window + 100}
		if beat%10 == 0 { // a restart: subscriptions and a graft of the new process
			e.subscriptions, e.grafts = 1, 2
		}
		r := a.admit(now, e, nil)
		require.True(t, r.rest)
		require.Equal(t, e, r.keep, "heartbeat %d", beat)
	}
}

// R43: a fault of our own must not cost us all peers.
func TestCutterKeepsMostPeers(t *testing.T) {
	c := newCutter(-160, time.Minute)
	now := time.UnixMilli(1_000_000)
	require.False(t, c.cuts(now, -160, 0, 8), "at the threshold")
	require.True(t, c.cuts(now, -161, 0, 8))
	require.True(t, c.cuts(now, -1000, -10, 7))
	require.False(t, c.cuts(now, -1000, 0, 6), "a quarter is cut")
	require.True(t, c.cuts(now, -1000, -161, 6), "what is proven has no such bound")
	require.False(t, c.cuts(now.Add(time.Minute-1), -1000, 0, 6))
	require.True(t, c.cuts(now.Add(time.Minute), -1000, 0, 6))
	require.False(t, newCutter(-160, time.Minute).cuts(now, -161, 0, 3), "of few peers none")
}

// R43: whom its proven offences graylist is cut, though it were our only peer. The router reads
// nothing more of it, so that it will never do what is missing to a ban.
func TestProvenOffencesAreCutWithoutQuota(t *testing.T) {
	cfg, now := peerscore.DefaultConfig(), time.UnixMilli(1_000_000)
	for o := peerscore.Offence(1); int(o) <= peerscore.Offences; o++ {
		if !o.Proven() {
			continue
		}
		book, err := peerscore.New(cfg)
		require.NoError(t, err)
		court := &court{now: func() time.Time { return now }, book: book}
		c := newCutter(cfg.Thresholds.Graylist, time.Minute)
		for !(court.score("p") < cfg.Thresholds.Graylist) {
			book.Record(now, "p", o)
		}
		require.True(t, court.isBanned("p") || c.cuts(now, court.score("p"), court.proven("p"), 1), "%v", o)
	}
}
