package local

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Daemons go and come back, and what they count goes on from where it was.
func TestRunRestarts(t *testing.T) {
	s := smoke(t, "nodes=4", "txs.for=6s", "txs.origins=2", "churn=[{from: 1s, to: 3s, share: 50%, down: 1s}]")
	dir := filepath.Join(shortDir(t), "run")
	r, err := Run(t.Context(), s, Options{Program: program(t), Dir: dir, Trace: true})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	require.EqualValues(t, 1, *r.Tx.DeliveryRatio, r.Notes)
	require.Zero(t, *r.Tx.Refused)
	require.Equal(t, 1, *r.Chain.Heads)
	require.Greater(t, *r.Resources.CPUS, 0.0)
	st, err := Look(t.Context(), dir)
	require.NoError(t, err)
	for _, d := range st.Daemons {
		require.Empty(t, d.Ended, "it was asked to go")
	}
}

func TestRestartsOf(t *testing.T) {
	s := smoke(t, "nodes=6", "txs.origins=2", "attackers=[{kind: silent, count: 1}]",
		"churn=[{from: 10s, to: 20s, share: 60%, down: 1s}, {from: 0s, to: 60s, per_minute: 40%, down: 2s}]")
	require.Equal(t, []restart{
		{0, 2 * time.Second, 2},
		{10 * time.Second, time.Second, 3},
		{10*time.Second + 10*time.Second/3, time.Second, 4},
		{10*time.Second + 20*time.Second/3, time.Second, 2},
		{30 * time.Second, 2 * time.Second, 3},
	}, restartsOf(s))
}

// What is sent while a daemon is away, or just before, is not expected of it;
// what it gets all the same counts.
func TestAbsence(t *testing.T) {
	y := newTally([]string{"", "", ""}, false, 0)
	start := time.Unix(1_000_000, 0)
	y.begin(start, time.Time{})
	y.left(2, start.Add(10*time.Second))
	y.back(2, start.Add(20*time.Second))
	for id, at := range map[byte]time.Duration{1: 4 * time.Second, 2: 6 * time.Second, 3: 19 * time.Second, 4: 15 * time.Second, 5: 21 * time.Second} {
		tx := wire.TxID{id}
		now := start.Add(at)
		y.submitting(tx, 0, 100, now)
		y.submitted(tx, nil)
		pending := api.Event{Kind: api.TxPending, Time: uint64(now.UnixMilli()), Tx: &api.TxEvent{ID: tx}}
		y.heard(1, pending, now)
		if id == 4 {
			y.heard(2, pending, now)
		}
	}
	got := y.result().tx
	require.Equal(t, 5, got.Published)
	require.Equal(t, 5+1, got.Delivered)
	require.Equal(t, 5+3, got.Expected, "1, 4 and 5 of the one that was away")
}
