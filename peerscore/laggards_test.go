package peerscore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

func TestLaggards(t *testing.T) {
	fine := func(p peerscore.PeerID) peerscore.Reading { return peerscore.Reading{Peer: p, Sent: 100} }
	slow := func(p peerscore.PeerID) peerscore.Reading { return peerscore.Reading{Peer: p, Sent: 80, Dropped: 20} }
	stuck := func(p peerscore.PeerID) peerscore.Reading { return peerscore.Reading{Peer: p, Sent: 1, Stuck: true} }
	for name, c := range map[string]struct {
		readings []peerscore.Reading
		want     []peerscore.PeerID
	}{
		"nobody":                  {nil, nil},
		"all read":                {[]peerscore.Reading{fine("a"), fine("b"), fine("c"), fine("d")}, nil},
		"one drops":               {[]peerscore.Reading{fine("a"), slow("b"), fine("c"), fine("d")}, []peerscore.PeerID{"b"}},
		"one is stuck":            {[]peerscore.Reading{fine("a"), fine("b"), stuck("c"), fine("d")}, []peerscore.PeerID{"c"}},
		"most drop: it is we":     {[]peerscore.Reading{slow("a"), slow("b"), slow("c"), fine("d")}, nil},
		"half are stuck":          {[]peerscore.Reading{stuck("a"), stuck("b"), fine("c"), fine("d")}, nil},
		"too few for a median":    {[]peerscore.Reading{slow("a"), fine("b"), fine("c")}, nil},
		"too little for a share":  {[]peerscore.Reading{{Peer: "a", Dropped: 10}, fine("b"), fine("c"), fine("d")}, nil},
		"a little is nobody's":    {[]peerscore.Reading{{Peer: "a", Sent: 95, Dropped: 5}, fine("b"), fine("c"), fine("d")}, nil},
		"as bad as four times it": {[]peerscore.Reading{{Peer: "a", Sent: 75, Dropped: 25}, {Peer: "b", Sent: 96, Dropped: 4}, {Peer: "c", Sent: 96, Dropped: 4}, fine("d")}, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, peerscore.Laggards(c.readings)) })
	}
}

// TestLawLaggardsOfAFullUplink: while our own uplink drops for everybody, whatever
// the shares, nobody is blamed.
func TestLawLaggardsOfAFullUplink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(drawSeed(t), 7))
		readings := make([]peerscore.Reading, rng.IntN(40))
		for i := range readings {
			sent := 20 + rng.IntN(1000)
			readings[i] = peerscore.Reading{Peer: peerscore.PeerID(fmt.Sprint(i)), Sent: sent, Dropped: sent/15 + rng.IntN(sent), Stuck: rng.IntN(4) == 0}
		}
		require.Empty(t, peerscore.Laggards(readings))
	})
}
