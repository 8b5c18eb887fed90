package traffic_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/traffic"
)

func TestCounter(t *testing.T) {
	var c traffic.Counter
	var r metrics.Reporter = &c
	r.LogSentMessage(3)
	r.LogSentMessageStream(3, "/a", "p") // the same bytes, told again
	r.LogRecvMessage(5)
	r.LogRecvMessageStream(5, "/a", "p")
	r.LogSentMessage(4)
	require.EqualValues(t, 7, c.Out())
	require.EqualValues(t, 5, c.In())
	require.Equal(t, metrics.Stats{TotalIn: 5, TotalOut: 7}, r.GetBandwidthTotals())
	r.Reset()
	require.Zero(t, c.In()+c.Out())
}
