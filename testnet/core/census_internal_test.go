package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/member"
)

func TestCensus(t *testing.T) {
	c := newCensus(4)
	all := func(int) bool { return true }
	c.takes(0, 0, 1, member.Dead)
	require.Equal(t, 1, c.falseDeaths, "it lives")

	c.gone(10*time.Second, 60*time.Second, 1, all)
	c.takes(12*time.Second, 0, 1, member.Suspect)
	c.takes(15*time.Second, 0, 1, member.Dead)
	c.takes(17*time.Second, 2, 1, member.Dead)
	c.gone(18*time.Second, 25*time.Second, 3, all) // for too short to have to be noticed, and no witness any more
	c.takes(60*time.Second+lateness-1, 3, 1, member.Dead)
	require.Equal(t, 1, c.falseDeaths)
	c.takes(60*time.Second+lateness, 3, 1, member.Dead)
	require.Equal(t, 2, c.falseDeaths)

	c.gone(100*time.Second, 130*time.Second, 2, all)
	c.takes(131*time.Second, 0, 2, member.Dead) // that was late

	r := c.report(4, 12*time.Hour)
	require.Equal(t, 2, r.Deaths)
	require.Equal(t, 0.5, *r.NoticedRatio)
	require.Equal(t, 8000.0, r.NoticedMS.Max, "the last witness knew when the other one had gone")
	require.Equal(t, 1.0, *r.FalseDeathsPerNodeDay)
	require.Equal(t, 1, r.Suspicions)
}
