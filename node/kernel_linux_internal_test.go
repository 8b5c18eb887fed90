package node

import (
	"context"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plain is no security at all.
type plain struct{ sec.SecureTransport }

func (plain) SecureInbound(context.Context, net.Conn, peer.ID) (sec.SecureConn, error) {
	return nil, nil
}

func (plain) SecureOutbound(context.Context, net.Conn, peer.ID) (sec.SecureConn, error) {
	return nil, nil
}

// unsentBound is what the kernel says of a connection.
func unsentBound(t *testing.T, c *net.TCPConn) (bytes int) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		bytes, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		require.NoError(t, err)
	}))
	return bytes
}

// R101: the kernel holds little of what is to be sent on a TCP connection, whoever dialled.
func TestKernelHoldsLittle(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialled, err := net.Dial("tcp4", l.Addr().String())
	require.NoError(t, err)
	defer dialled.Close()
	accepted, err := l.Accept()
	require.NoError(t, err)
	defer accepted.Close()

	out, in := dialled.(*net.TCPConn), accepted.(*net.TCPConn)
	require.NotEqual(t, maxPiece, unsentBound(t, out))
	for _, c := range []*net.TCPConn{out, in} { // libp2p's connections have addresses of their own kind
		wrapped, err := manet.WrapNetConn(c)
		require.NoError(t, err)
		if c == out {
			_, err = shallowSecurity{plain{}}.SecureOutbound(t.Context(), wrapped, "")
		} else {
			_, err = shallowSecurity{plain{}}.SecureInbound(t.Context(), wrapped, "")
		}
		require.NoError(t, err)
		require.Equal(t, maxPiece, unsentBound(t, c))
	}
	boundKernel(new(net.IPConn)) // which is none to be bounded, and no reason to fail
}
