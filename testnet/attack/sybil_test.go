package attack_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// What Sybils do to those that have no repair: see TestSieges, which leaves them to the tests
// below.
var (
	covertFlash = swallowing("covert-flash", "1s")
	coldBoot    = swallowing("cold-boot", "")
	dawn        = swallowing("silent", "") // those that start with the honest are no kind of their own
	eclipse     = swallowing("eclipse", "")
	censorOne   = swallowing("censor", "", "txs.origins=1")

	sybils = []siege{covertFlash, coldBoot, dawn, eclipse, censorOne}
)

// surrounded has a siege each time, and with `make attacks` the large network that ships.
func surrounded(t *testing.T, s siege, ships string) {
	t.Run("siege", func(t *testing.T) {
		clear(done)
		s.run(t)
	})
	t.Run(ships, func(t *testing.T) { holds(t, shipped(t, ships)) })
}

// TestP23CovertFlash: those that behaved fall silent, all at once.
func TestP23CovertFlash(t *testing.T) { surrounded(t, covertFlash, "attack-covert-flash") }

// TestP24ColdBoot: those that were there first never pass on anything.
func TestP24ColdBoot(t *testing.T) { surrounded(t, coldBoot, "attack-cold-boot") }

// TestP25Dawn: those that start with the honest nodes pass on nothing of what these send.
func TestP25Dawn(t *testing.T) { surrounded(t, dawn, "attack-dawn") }

// TestP26CensorOne: those that hold the meshes drop what one origin sends, and nothing else.
func TestP26CensorOne(t *testing.T) { surrounded(t, censorOne, "attack-censor") }

// TestSybilsEclipseOne: those around one victim pass on nothing, neither to it nor from it.
func TestSybilsEclipseOne(t *testing.T) { surrounded(t, eclipse, "attack-eclipse") }

// TestSybilsAim: those around a victim are linked to it, all of them, and it is
// the victim that they harm. Of this seed nobody honest is next to it.
func TestSybilsAim(t *testing.T) {
	for _, kind := range []string{"eclipse", "censor"} {
		t.Run(kind, func(t *testing.T) {
			s, err := scenario.Parse("tiny.yaml", []byte(tiny))
			require.NoError(t, err)
			for _, c := range []string{"network.dials=1", "seed=28", "attackers=[{kind: " + kind + ", count: 3}]"} {
				require.NoError(t, s.Set(c))
			}
			s.Relay = plain
			r, err := sim.Run(t.Context(), s, sim.Options{Trace: true})
			require.NoError(t, err)

			victim := slices.IndexFunc(r.Trace.Nodes, func(n report.TraceNode) bool { return n.Role == report.RoleHonest })
			var around []string
			for _, l := range r.Trace.MeshLinks {
				if i := slices.Index(l[:], victim); i >= 0 {
					around = append(around, r.Trace.Nodes[l[1-i]].Role)
				}
			}
			require.Equal(t, []string{kind, kind, kind}, around)

			var of, arrived [2]int // what the victim sent, and what others did
			for _, m := range r.Trace.Messages {
				who := 1
				if m.Origin == victim {
					who = 0
				}
				of[who] += m.Receivers
				arrived[who] += len(m.ArrivedMS)
			}
			require.Positive(t, of[0])
			require.Zero(t, arrived[0], "what the victim sent reached somebody")
			if kind == "eclipse" {
				require.Zero(t, r.Trace.Nodes[victim].Arrived, "something reached the victim")
				require.Positive(t, arrived[1], "nobody was left to talk to anybody")
			} else {
				require.Positive(t, r.Trace.Nodes[victim].Arrived)
				require.Equal(t, of[1], arrived[1], "what others sent was lost too")
			}
		})
	}
}
