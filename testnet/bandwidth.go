package testnet

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// bandwidth counts the bytes that one node writes to its streams and reads
// from them. libp2p's own counter would do, but it leaves a goroutine that
// keeps rates for the whole process.
type bandwidth struct{ in, out atomic.Int64 }

var _ metrics.Reporter = (*bandwidth)(nil)

func (b *bandwidth) LogSentMessage(n int64) { b.out.Add(n) }

func (b *bandwidth) LogRecvMessage(n int64) { b.in.Add(n) }

func (b *bandwidth) LogSentMessageStream(int64, protocol.ID, peer.ID) {}

func (b *bandwidth) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

func (b *bandwidth) GetBandwidthForPeer(peer.ID) metrics.Stats { return metrics.Stats{} }

func (b *bandwidth) GetBandwidthForProtocol(protocol.ID) metrics.Stats { return metrics.Stats{} }

func (b *bandwidth) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: b.in.Load(), TotalOut: b.out.Load()}
}

func (b *bandwidth) GetBandwidthByPeer() map[peer.ID]metrics.Stats { return nil }

func (b *bandwidth) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

func (b *bandwidth) Reset() {
	b.in.Store(0)
	b.out.Store(0)
}

func (b *bandwidth) TrimIdle(time.Time) {}
