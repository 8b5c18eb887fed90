package attack_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// What Sybils do to those that have no repair, sieges show.
func TestSybils(t *testing.T) {
	for _, name := range []string{"attack-cold-boot", "attack-dawn", "attack-covert-flash", "attack-eclipse", "attack-censor"} {
		t.Run(name, func(t *testing.T) { holds(t, shipped(t, name)) })
	}
}

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
