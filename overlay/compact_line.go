package overlay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/quic-go/quic-go"
)

const (
	// fillWindow is what may follow a header at once where the transport does not tell: what the
	// first flight of a connection has left behind 4,200 short ids. maxFillWindow keeps a link
	// with a large window from being sent for what others send too.
	fillWindow    = 13 << 10
	maxFillWindow = 64 << 10
	// flightEvery is how often is looked at what connections have sent: about a round trip.
	flightEvery = 250 * time.Millisecond
)

// flight estimates what a connection has under way, of which the transport says nothing: what
// it sends in a round trip, at the pace of a moment ago. What is about to be sent, the
// header above all, is not in it.
type flight struct {
	at   time.Time // of the last sample
	sent uint64
	rate float64 // bytes a second between the last two
}

// sample takes note of all that was sent until now. Less than before is another connection.
func (f *flight) sample(now time.Time, sent uint64) {
	f.rate = 0
	if took := now.Sub(f.at); !f.at.IsZero() && took > 0 && sent > f.sent {
		f.rate = float64(sent-f.sent) / took.Seconds()
	}
	f.at, f.sent = now, sent
}

// window is what may follow a header of that size at once: what is free of the congestion
// window.
func (f flight) window(congestion uint64, rtt time.Duration, header int) int {
	free := float64(congestion) - f.rate*rtt.Seconds() - float64(header)
	return int(min(max(free, 0), maxFillWindow))
}

// line is the round trip to a peer, and what may follow a header of that size at once.
func (c *compactor) line(m member, f flight, header int) (rtt time.Duration, window int) {
	if q := c.quicTo(m.id); q != nil {
		stats := q.ConnectionStats()
		return stats.SmoothedRTT, f.window(stats.CongestionWindow, stats.SmoothedRTT, header)
	}
	return m.rtt, fillWindow
}

// sampleFlights looks at all links.
func (c *compactor) sampleFlights(now time.Time) {
	for p, l := range c.links {
		if q := c.quicTo(p); q != nil {
			l.flight.sample(now, q.ConnectionStats().BytesSent)
		}
	}
}

// quicTo is the first QUIC connection to a peer, nil if there is none.
func (c *compactor) quicTo(p peer.ID) *quic.Conn {
	for _, conn := range c.host.Network().ConnsToPeer(p) {
		var q *quic.Conn
		if conn.As(&q) && q != nil {
			return q
		}
	}
	return nil
}
