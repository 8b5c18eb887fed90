package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// What an operator has to know is said only when it is so.
func TestStatusWarns(t *testing.T) {
	shown := func(s api.Status, faults ...api.ProducerFault) string {
		var w strings.Builder
		printStatus(&w, s, nil, faults)
		return w.String()
	}
	quiet := shown(api.Status{Ready: true})
	for _, word := range []string{"eclipse?", "catching up", "reachability", "equivocation", "producer fault"} {
		require.NotContains(t, quiet, word)
	}
	require.Contains(t, shown(api.Status{OneSidedLinks: 2}), "on 2 links outside the mesh")
	require.Contains(t, shown(api.Status{Reachability: &api.Reachability{State: api.Unreachable}}), "peers cannot reach this node")
	require.Contains(t, shown(api.Status{Syncing: api.Syncing{Active: true, Height: 3, Target: 9}}), "at height 3 of 9")
	require.Contains(t, shown(api.Status{ProducerFaults: 1}, api.ProducerFault{Producer: "gv1p", Height: 7, Fault: api.InvalidBody}), "height 7, slot 0: invalid body")
}
