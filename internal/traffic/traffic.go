// Package traffic counts the bytes of a libp2p host's streams.
package traffic

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Counter counts all bytes that a host writes to its streams and reads from them, for
// whoever gives it to the host as its reporter of bandwidth. libp2p's own counter would do,
// but it leaves a goroutine that keeps rates for the whole process; this one keeps no rates
// and tells neither peers nor protocols apart. The zero value is ready, and may be used
// concurrently.
type Counter struct{ in, out atomic.Int64 }

var _ metrics.Reporter = (*Counter)(nil)

// In is how many bytes were read so far.
func (c *Counter) In() int64 { return c.in.Load() }

// Out is how many bytes were written so far.
func (c *Counter) Out() int64 { return c.out.Load() }

// LogSentMessage implements metrics.Reporter.
func (c *Counter) LogSentMessage(n int64) { c.out.Add(n) }

// LogRecvMessage implements metrics.Reporter.
func (c *Counter) LogRecvMessage(n int64) { c.in.Add(n) }

// LogSentMessageStream implements metrics.Reporter; LogSentMessage was called as well.
func (c *Counter) LogSentMessageStream(int64, protocol.ID, peer.ID) {}

// LogRecvMessageStream implements metrics.Reporter; LogRecvMessage was called as well.
func (c *Counter) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// GetBandwidthForPeer implements metrics.Reporter.
func (c *Counter) GetBandwidthForPeer(peer.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthForProtocol implements metrics.Reporter.
func (c *Counter) GetBandwidthForProtocol(protocol.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthTotals implements metrics.Reporter.
func (c *Counter) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: c.In(), TotalOut: c.Out()}
}

// GetBandwidthByPeer implements metrics.Reporter.
func (c *Counter) GetBandwidthByPeer() map[peer.ID]metrics.Stats { return nil }

// GetBandwidthByProtocol implements metrics.Reporter.
func (c *Counter) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset implements metrics.Reporter: both numbers begin again.
func (c *Counter) Reset() {
	c.in.Store(0)
	c.out.Store(0)
}

// TrimIdle implements metrics.Reporter.
func (c *Counter) TrimIdle(time.Time) {}
