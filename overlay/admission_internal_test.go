package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func parcels(classes ...int) (out []parcel) {
	for i, c := range classes {
		out = append(out, parcel{[]byte{byte(i)}, c})
	}
	return out
}

// R41: over its budget a peer is shed from, the least valuable first, then charged.
func TestAdmissionShedsThenCharges(t *testing.T) {
	l := DefaultLimits()
	l.ShedPerCharge, l.ChargesForgiven = 10, 2
	a := newAdmission(10, 4, l)
	now := time.UnixMilli(1_000_000)
	keep, ok, shed, charge := a.admit(now, 1, parcels(1, 9, 2, 3, 9))
	require.True(t, ok)
	require.Equal(t, []parcel{{[]byte{1}, 9}, {[]byte{4}, 9}, {[]byte{3}, 3}}, keep)
	require.Equal(t, 2, shed)
	require.False(t, charge)

	_, ok, _, _ = a.admit(now, 0, nil)
	require.False(t, ok, "an empty RPC counts")
	keep, ok, _, _ = a.admit(now.Add(200*time.Millisecond), 0, parcels(0))
	require.True(t, ok, "the budget fills again")
	require.Len(t, keep, 1)

	charges := 0
	for range 48 { // one is within; with the three from before these are fifty
		if _, _, _, charge := a.admit(now.Add(200*time.Millisecond), 1, nil); charge {
			charges++
		}
	}
	require.Equal(t, 3, charges, "five times ten are over, two of them forgiven")
}

// An honest peer at five times the expected traffic of a busy network is never over, nor one
// that sends all that it kept for its first listener.
func TestHonestLoadIsWithinBudget(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	l := DefaultLimits()
	a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
	for range l.KeptTxs {
		_, ok, shed, _ := a.admit(now, 0, parcels(1))
		require.True(t, ok && shed == 0)
	}
	a = newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
	for range 60 * 500 { // a minute; each message with as many announcements of others
		now = now.Add(2 * time.Millisecond)
		_, ok, shed, _ := a.admit(now, 4, parcels(1, 1))
		require.True(t, ok && shed == 0)
	}
}

// R43: a fault of our own must not cost us all peers.
func TestCutterKeepsMostPeers(t *testing.T) {
	c := &cutter{threshold: -160, barred: time.Minute}
	now := time.UnixMilli(1_000_000)
	require.False(t, c.cuts(now, -160, 0, 8), "at the threshold")
	require.True(t, c.cuts(now, -161, 0, 8))
	require.True(t, c.cuts(now, -1000, -10, 8))
	require.False(t, c.cuts(now, -1000, 0, 8), "a quarter is cut")
	require.True(t, c.cuts(now, -1000, -161, 8), "what is proven has no such bound")
	require.False(t, c.cuts(now.Add(time.Minute-1), -1000, 0, 8))
	require.True(t, c.cuts(now.Add(time.Minute), -1000, 0, 8))
	require.True(t, (&cutter{threshold: -160, barred: time.Minute}).cuts(now, -161, 0, 1), "one at least")
}
