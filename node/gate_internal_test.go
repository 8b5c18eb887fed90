package node

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

func TestTheGateKeepsOutWhoIsBanned(t *testing.T) {
	g := new(gate)
	require.True(t, g.InterceptPeerDial("mallory"), "nobody is banned before there is an overlay")
	banned := func(p peer.ID) bool { return p == "mallory" }
	g.banned.Store(&banned)
	require.False(t, g.InterceptPeerDial("mallory"))
	require.False(t, g.InterceptSecured(network.DirInbound, "mallory", nil))
	require.True(t, g.InterceptPeerDial("alice"))
	require.True(t, g.InterceptSecured(network.DirInbound, "alice", nil))
}
