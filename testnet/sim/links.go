package sim

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/marcopolo/simnet"
)

// packetHeaders is what IPv4 and UDP add to a packet's payload.
const packetHeaders = 28

// port is where every simulated host listens.
const port = 4001

// firstOctet to lastOctet keep the first byte of addresses in unicast space
// that is nobody's private or shared range.
const (
	firstOctet = 20
	octets     = 80
	maxSeats   = octets * 256
)

// ipOf is the address of seat i. Seats differ in the first two bytes, as nodes
// in different networks do.
func ipOf(i int) net.IP { return net.IPv4(byte(firstOctet+i%octets), byte(i/octets), 1, 1).To4() }

// seatAt is the inverse of ipOf.
func seatAt(a net.Addr) int {
	ip := a.(*net.UDPAddr).IP.To4()
	return int(ip[0]) - firstOctet + octets*int(ip[1])
}

// nowhere is an address that no host has: the router drops what goes there.
var nowhere net.Addr = &net.UDPAddr{IP: net.IPv4(198, 18, 0, 1).To4(), Port: 1}

// wires decides what becomes of each packet once it has left its sender's
// uplink. Only the router's goroutine calls route.
type wires struct {
	latency [][]time.Duration // constant, as all to reorder
	loss    float64
	reorder float64
	tick    time.Duration // the grid of arrivals; 0 is none

	cut atomic.Pointer[[]int] // group of each seat while the network is split

	rng *rand.Rand // owned by the router

	duplicate float64    // constant
	mu        sync.Mutex // guards what follows
	twice     *rand.Rand
}

// split cuts every link between groups; nil heals.
func (w *wires) split(groups []int) {
	if groups == nil {
		w.cut.Store(nil)
		return
	}
	w.cut.Store(&groups)
}

// route says how long a packet is under way. What is lost is sent nowhere.
func (w *wires) route(p *simnet.Packet) time.Duration {
	from, to := seatAt(p.From), seatAt(p.To)
	if to < 0 || to >= len(w.latency) || w.parted(from, to) || w.chance(w.loss) {
		p.To = nowhere
		return 0
	}
	d := w.latency[from][to]
	if w.chance(w.reorder) {
		// Late by up to its own time under way, so that those behind it overtake.
		d += time.Duration(w.rng.Float64() * float64(d))
	}
	return onTick(time.Now(), d, w.tick)
}

const (
	// tick is the grid of arrivals over long links, where lines never fill. What
	// arrives together is worked off together, which saves a third of a run's
	// processor time and lets a second core help; it adds a quarter of a
	// millisecond to a link on average. Where lines do fill, what arrives together
	// is a burst to queues and congestion control: blocks of 1 MiB took a tenth
	// longer, so runs that carry blocks of a given size are without.
	tick = 500 * time.Microsecond
	// long is the latency from which on that is at most a thirtieth.
	long = 15 * time.Millisecond
)

// onTick is the time from now to the first tick at or after d.
func onTick(now time.Time, d, tick time.Duration) time.Duration {
	if tick == 0 || d < long {
		return d
	}
	return now.Add(d + tick - 1).Truncate(tick).Sub(now)
}

func (w *wires) parted(from, to int) bool {
	groups := w.cut.Load()
	return groups != nil && (*groups)[from] != (*groups)[to]
}

func (w *wires) chance(share float64) bool { return share > 0 && w.rng.Float64() < share }

// doubled draws whether a packet arrives twice. Safe for concurrent use.
func (w *wires) doubled() bool {
	if w.duplicate == 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.twice.Float64() < w.duplicate
}

// meter counts what a host sends.
type meter struct {
	bytes   atomic.Uint64
	packets atomic.Uint64
}

// socket is a host's end of its line, metered.
type socket struct {
	*simnet.SimConn
	meter *meter
	wires *wires
}

// WriteTo implements net.PacketConn.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := s.SimConn.WriteTo(b, to)
	if err == nil {
		s.meter.bytes.Add(uint64(len(b) + packetHeaders))
		s.meter.packets.Add(1)
		if s.wires.doubled() {
			_, _ = s.SimConn.WriteTo(b, to) // what the network does is not for the sender to hear of
		}
	}
	return n, err
}
