package local

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func TestTollIsTakenByPhase(t *testing.T) {
	load := time.Unix(1000, 0)
	others := 0.0
	machine := func() (float64, error) { return others, nil }
	x := newToll(load.Add(2*time.Second), load.Add(6*time.Second), machine)
	at := func(s float64, cpu, live, rss float64, of ...float64) {
		each := []reading{{cpu: cpu, live: live, rss: rss}, {cpu: cpu}}
		if len(of) > 0 {
			each[1].live = of[0]
		}
		x.saw(load.Add(time.Duration(s*float64(time.Second))), each)
	}
	at(0, 1, 10e6, 50e6, 12e6)
	others = 0.3
	at(1.5, 1.15, 11e6, 50e6, 12e6)
	others = 0.7
	at(2.5, 2.15, 10e6, 60e6, 12e6) // from the last reading of the calm: 2 s in 1
	others = 0.9
	at(5.5, 2.45, 14e6, 55e6, 10e6)
	at(6.5, 99, 99e6, 99e6) // the load is over
	a := report.Attack{Before: new(report.Phase), During: new(report.Phase)}
	x.add(&a)
	require.InDelta(t, 0.2, *a.Before.CPUPerS, 1e-6)
	require.InDelta(t, 0.65, *a.During.CPUPerS, 1e-6)
	require.InDelta(t, 0.2, *a.Before.OthersCPUPerS, 1e-6)
	require.InDelta(t, 0.15, *a.During.OthersCPUPerS, 1e-6)
	require.InDelta(t, 3, *a.HeapGrowthMB, 1e-6)
	require.InDelta(t, 10, *a.RSSGrowthMB, 1e-6)

	// An attack from the beginning has nothing before it.
	x = newToll(load, load.Add(6*time.Second), func() (float64, error) { return 0, errors.New("unknown") })
	at(0, 1, 10e6, 50e6)
	at(2, 1.5, 10e6, 50e6)
	x.add(&a)
	require.Nil(t, a.Before.CPUPerS)
	require.InDelta(t, 0.5, *a.During.CPUPerS, 1e-6)
	require.Nil(t, a.During.OthersCPUPerS)
	require.Nil(t, a.HeapGrowthMB)
}
