package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
)

// fakeConn is a connection of which only its name and its end count.
type fakeConn struct {
	network.Conn
	closed bool
}

func (fakeConn) ID() string { return "conn" }

func (c fakeConn) IsClosed() bool { return c.closed }

// A stream that is told of after its connection closed blames nobody, and leaves nothing.
func TestStreamsOfClosedConnectionsBlameNobody(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := newStreamBudgets(2)
	require.NoError(t, b.take(now, fakeConn{}))
	require.NoError(t, b.take(now, fakeConn{}))
	require.ErrorIs(t, b.take(now, fakeConn{}), TooManyStreams)
	b.forget(fakeConn{closed: true})
	require.ErrorIs(t, b.take(now, fakeConn{closed: true}), errGone)
	require.Empty(t, b.conns)
}
