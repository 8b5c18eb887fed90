package sim

import (
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

func TestDialGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "n")
		dials := rapid.IntRange(1, n-1).Draw(t, "dials")
		seed := rapid.Uint64().Draw(t, "seed")
		graph := dialGraph(seed, n, dials)
		require.Equal(t, graph, dialGraph(seed, n, dials))
		pairs := map[[2]int]bool{}
		for i, dialled := range graph {
			require.LessOrEqual(t, len(dialled), dials)
			for _, j := range dialled {
				require.True(t, j >= 0 && j < n && j != i)
				pair := [2]int{min(i, j), max(i, j)}
				require.False(t, pairs[pair], "one link is enough")
				pairs[pair] = true
			}
		}
		if n > 5*dials {
			require.Len(t, pairs, n*dials)
		}
		require.Equal(t, len(pairs), links(graph))
	})
}

// TestFloorsAgainstNaive compares with trying every path, link by link, until
// nothing gets better.
func TestFloorsAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 25).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		near := undirected(dialGraph(seed, n, rapid.IntRange(1, min(3, n-1)).Draw(t, "dials")))
		mutes := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "mute")
		mute := func(i int) bool { return mutes[i] }
		latency := func(i, j int) time.Duration {
			return drawn(seed, i, j, [2]time.Duration{time.Millisecond, time.Second})
		}
		want := make([]time.Duration, n)
		for i := range want {
			want[i] = unreachable
		}
		want[0] = 0
		for range n {
			for i := range n {
				if want[i] == unreachable || i != 0 && mute(i) {
					continue
				}
				for _, j := range near[i] {
					want[j] = min(want[j], want[i]+latency(i, j))
				}
			}
		}
		require.Equal(t, want, floors(0, near, latency, mute))
	})
}

func TestSharedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		weights := rapid.SliceOfN(rapid.Float64Range(0.01, 1), 1, 6).Draw(t, "shares")
		var sum float64
		for _, w := range weights {
			sum += w
		}
		count := make([]int, len(weights))
		got := shared(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), n, weights)
		require.Len(t, got, n)
		for _, kind := range got {
			count[kind]++
		}
		for kind, w := range weights {
			require.InDelta(t, w/sum*float64(n), count[kind], 1)
		}
	})
}

func TestLatency(t *testing.T) {
	within := [2]time.Duration{20 * time.Millisecond, 150 * time.Millisecond}
	small, err := latencyOf(3, 10, scenario.Latency{Range: within})
	require.NoError(t, err)
	large, err := latencyOf(3, 200, scenario.Latency{Range: within})
	require.NoError(t, err)
	var sum time.Duration
	for i := range large {
		for j := range large {
			require.Equal(t, large[i][j], large[j][i])
			require.True(t, large[i][j] >= within[0] && large[i][j] <= within[1])
			sum += large[i][j]
			if i < 10 && j < 10 {
				require.Equal(t, small[i][j], large[i][j], "another number of nodes changes nothing for a pair")
			}
		}
	}
	require.InDelta(t, 85, ms(sum/time.Duration(200*200)), 1)

	regions, err := latencyOf(3, 16, scenario.Latency{Preset: "aws-8"})
	require.NoError(t, err)
	require.Equal(t, time.Millisecond, regions[0][1], "two in one region")
	require.InDelta(t, 43.9, ms(regions[0][2]), 0.001)
	_, err = latencyOf(3, 16, scenario.Latency{Preset: "moon"})
	require.ErrorContains(t, err, "moon")
}

func TestAddresses(t *testing.T) {
	seen := map[string]bool{}
	for i := range 5000 {
		ip := ipOf(i)
		require.False(t, ip.IsPrivate() || ip.IsLoopback() || ip.IsMulticast())
		require.True(t, ip.IsGlobalUnicast())
		require.False(t, seen[ip.String()])
		seen[ip.String()] = true
		require.Equal(t, i, seatAt(&net.UDPAddr{IP: ip}))
	}
}

func TestArrivalsAreOnTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, rapid.Int64Range(0, 1<<60).Draw(t, "now"))
		d := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "latency"))
		require.Equal(t, d, onTick(now, d, 0))
		got := onTick(now, d, tick)
		if d < long {
			require.Equal(t, d, got)
			return
		}
		require.True(t, got >= d && got < d+tick)
		require.Equal(t, now.Add(got), now.Add(got).Truncate(tick))
	})
}

// Arrivals on a grid are bursts to whatever fills a line.
func TestRunsThatFillLinesHaveNoGrid(t *testing.T) {
	s := &scenario.Scenario{Nodes: 2, Network: scenario.Network{Latency: scenario.Latency{Range: [2]time.Duration{long, long}}}}
	w, err := newWorld(s)
	require.NoError(t, err)
	require.Equal(t, tick, w.wires.tick)
	s.Blocks.Count = 1
	w, err = newWorld(s)
	require.NoError(t, err)
	require.Zero(t, w.wires.tick)
}

// TestRoute holds loss, reordering and partitions to their definitions.
func TestRoute(t *testing.T) {
	const n = 4
	latency, err := latencyOf(1, n, scenario.Latency{Range: [2]time.Duration{50 * time.Millisecond, 50 * time.Millisecond}})
	require.NoError(t, err)
	send := func(w *wires, from, to int) (time.Duration, bool) {
		p := &simnet.Packet{From: &net.UDPAddr{IP: ipOf(from)}, To: &net.UDPAddr{IP: ipOf(to)}}
		d := w.route(p)
		return d, p.To != nowhere
	}
	w := &wires{latency: latency, loss: 0.1, reorder: 0.2, rng: stream(1, streamLinks)}
	const packets = 20_000
	lost, late := 0, 0
	for range packets {
		d, ok := send(w, 0, 1)
		switch {
		case !ok:
			lost++
		case d > 50*time.Millisecond+tick:
			require.LessOrEqual(t, d, 100*time.Millisecond+tick)
			late++
		default:
			require.GreaterOrEqual(t, d, 50*time.Millisecond)
		}
	}
	require.InDelta(t, 0.1, float64(lost)/packets, 0.01)
	require.InDelta(t, 0.2*0.9, float64(late)/packets, 0.01)

	w = &wires{latency: latency, rng: stream(1, streamLinks)}
	w.split([]int{0, 0, 1, 1})
	for from := range n {
		for to := range n {
			_, ok := send(w, from, to)
			require.Equal(t, from/2 == to/2, ok, "%d to %d", from, to)
		}
	}
	w.split(nil)
	_, ok := send(w, 0, 3)
	require.True(t, ok, "healed")
}

// TestDoubled holds duplicates to their definition, and that nobody pays for them.
func TestDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(&scenario.Scenario{
			Seed: 1, Nodes: 2,
			Network: scenario.Network{Duplicate: 0.25, Latency: scenario.Latency{Range: [2]time.Duration{time.Millisecond, time.Millisecond}}},
		})
		require.NoError(t, err)
		from := w.listen(0, &net.UDPAddr{IP: ipOf(0), Port: port})
		to := w.listen(1, &net.UDPAddr{IP: ipOf(1), Port: port})
		w.start()
		defer w.close()
		defer func() {
			require.NoError(t, from.Close())
			require.NoError(t, to.Close())
		}()
		const packets = 4000
		got, buf := 0, make([]byte, 10)
		for range packets {
			_, err := from.WriteTo([]byte("packet"), to.LocalAddr())
			require.NoError(t, err)
			for require.NoError(t, to.SetReadDeadline(time.Now().Add(10*time.Millisecond))); ; got++ {
				if _, _, err := to.ReadFrom(buf); err != nil {
					break
				}
			}
		}
		require.InDelta(t, 1.25*packets, got, 0.03*packets)
		require.EqualValues(t, packets*(len("packet")+packetHeaders), w.meters[0].bytes.Load())
	})
}

// TestBesieged: besiegers dial the others only, as many as asked; these dial as if the
// besiegers were not there.
func TestBesieged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 60).Draw(t, "n")
		outside := rapid.IntRange(1, n-2).Draw(t, "besiegers")
		links := rapid.IntRange(1, n-outside).Draw(t, "links")
		siege := func(i int) int {
			if i < outside {
				return links
			}
			return 0
		}
		graph := besieged(rapid.Uint64().Draw(t, "seed"), n, 2, siege)
		for i, dialled := range graph {
			seen := map[int]bool{}
			for _, j := range dialled {
				require.GreaterOrEqual(t, j, outside, "%d dials a besieger", i)
				require.NotEqual(t, i, j)
				require.False(t, seen[j])
				seen[j] = true
			}
			if i < outside {
				require.Len(t, dialled, links)
			} else {
				require.LessOrEqual(t, len(dialled), 2)
			}
		}
	})
}
