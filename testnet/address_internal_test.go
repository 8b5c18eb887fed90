package testnet

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEndpointsAreFreeAndDistinct(t *testing.T) {
	found, err := endpoints(9)
	require.NoError(t, err)
	seen := make(map[endpoint]bool)
	for _, e := range found {
		require.False(t, seen[e], "%v twice", e)
		seen[e] = true
		require.True(t, e.ip.IsLoopback())
		l, err := net.Listen("tcp4", e.String())
		require.NoError(t, err)
		defer l.Close()
		u, err := net.ListenPacket("udp4", e.String())
		require.NoError(t, err)
		defer u.Close()
	}
}

func TestFreeRefusesAnAddressThatIsNotThere(t *testing.T) {
	_, err := free(netip.MustParseAddr("203.0.113.1"), nil) // kept for documents, nobody has it
	require.Error(t, err)
}
