package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// views is a small network whose nodes keep a view of each other; some go away and some
// stand still, over lines that lose a little.
const views = `
description: who is there
world: core
nodes: 40
network:
  dials: 5
  latency: {range: [20ms, 150ms]}
  mbps: 50
  loss: 1%
start: {wave: 10s}
settle: 40s
drain: 40s
members: true
churn:
  - {from: 0s, to: 90s, share: 8%, down: 30s, stopped: true}
  - {from: 15s, to: 100s, share: 8%, down: 25s}
`

// TestMembersNoticeDeaths: of those that go away and of those that stand still all others
// learn; nobody else is taken for dead, and a run with loss repeats.
func TestMembersNoticeDeaths(t *testing.T) {
	s := seed(t)
	r := run(t, parse(t, views, s))
	m := r.Members
	require.NotNil(t, m)
	require.GreaterOrEqual(t, m.Deaths, 4)
	require.Equal(t, 1.0, *m.NoticedRatio)
	require.Less(t, m.NoticedMS.Max, 20_000.0)
	require.Greater(t, m.NoticedMS.P50, 1_000.0)
	require.Zero(t, m.FalseDeaths)
	require.Positive(t, m.Suspicions)
	require.Equal(t, 0, *r.Tx.Refused)
	require.Equal(t, *r.TraceHash, *run(t, parse(t, views, s)).TraceHash)

	require.Nil(t, run(t, parse(t, views, s, "members=false")).Members)
}
