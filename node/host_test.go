package node_test

import (
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
)

// What libp2p would refuse to dial after a hundred failures is left out of its defaults.
func TestWhatFailedIsDialled(t *testing.T) {
	var with, without libp2p.Config
	require.NoError(t, with.Apply(node.DialWhatFailed(), libp2p.FallbackDefaults))
	require.Nil(t, with.UDPBlackHoleSuccessCounter)
	require.Nil(t, with.IPv6BlackHoleSuccessCounter)
	require.NoError(t, without.Apply(libp2p.FallbackDefaults))
	require.NotNil(t, without.UDPBlackHoleSuccessCounter)
}
