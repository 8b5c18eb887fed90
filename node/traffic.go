package node

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// traffic counts the bytes of all streams. libp2p's own counter would do, but it
// leaves a goroutine that keeps rates for the whole process.
type traffic struct{ in, out atomic.Int64 }

var _ metrics.Reporter = (*traffic)(nil)

func (t *traffic) LogSentMessage(n int64)                           { t.out.Add(n) }
func (t *traffic) LogRecvMessage(n int64)                           { t.in.Add(n) }
func (t *traffic) LogSentMessageStream(int64, protocol.ID, peer.ID) {}
func (t *traffic) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}
func (t *traffic) GetBandwidthForPeer(peer.ID) metrics.Stats        { return metrics.Stats{} }

func (t *traffic) GetBandwidthForProtocol(protocol.ID) metrics.Stats     { return metrics.Stats{} }
func (t *traffic) GetBandwidthByPeer() map[peer.ID]metrics.Stats         { return nil }
func (t *traffic) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }
func (t *traffic) Reset()                                                {}
func (t *traffic) TrimIdle(time.Time)                                    {}
func (t *traffic) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: t.in.Load(), TotalOut: t.out.Load()}
}
