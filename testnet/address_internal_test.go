package testnet

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEndpointsAreFreeAndDistinct(t *testing.T) {
	for name, own := range map[string]bool{"an address each": OwnAddresses(9), "one address": false} {
		t.Run(name, func(t *testing.T) {
			found, err := Endpoints(9, own)
			require.NoError(t, err)
			seen := make(map[Endpoint]bool)
			for i, e := range found {
				require.False(t, seen[e], "%v twice", e)
				seen[e] = true
				require.True(t, e.ip.IsLoopback())
				require.Equal(t, own && i > 0, e.ip != found[0].ip)
				l, err := net.Listen("tcp4", e.String())
				require.NoError(t, err)
				defer l.Close()
				u, err := net.ListenPacket("udp4", e.String())
				require.NoError(t, err)
				defer u.Close()
			}
		})
	}
}

func TestFreeRefusesAnAddressThatIsNotThere(t *testing.T) {
	_, err := free(netip.MustParseAddr("203.0.113.1"), nil) // kept for documents, nobody has it
	require.Error(t, err)
}
