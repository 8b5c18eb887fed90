package member

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

var (
	epoch   = time.Unix(1_800_000_000, 0)
	network = [32]byte{1, 2, 3}
)

func seedOf(t *testing.T) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

// notary stands for the identities: a signature is a hash that only a notary
// computes, of the size of an Ed25519 signature.
type notary struct {
	self peerscore.PeerID
	pad  int              // bytes that a record has beside sequence number, id and signature
	now  func() time.Time // nil: it is epoch
}

func stamp(by peerscore.PeerID, message []byte) []byte {
	sum := sha256.Sum256(append([]byte("secret of "+string(by)+"\x00"), message...))
	return append(sum[:], sum[:]...)
}

func (n notary) Sign(message []byte) ([]byte, error) { return stamp(n.self, message), nil }

func (n notary) Verify(by peerscore.PeerID, message, signature []byte) bool {
	return string(stamp(by, message)) == string(signature)
}

// at is the sequence number of a record that is made then.
func at(t time.Time) uint64 { return uint64(t.UnixNano()) }

func (n notary) Seal(seq uint64) (Record, error) {
	clock := epoch
	if n.now != nil {
		clock = n.now()
	}
	b := binary.BigEndian.AppendUint64(nil, max(seq, at(clock)))
	b = append(append(b, byte(len(n.self))), n.self...)
	b = append(b, make([]byte, n.pad)...)
	b = append(b, stamp(n.self, b)...)
	return notary{}.Parse(b)
}

func (notary) Parse(b []byte) (Record, error) {
	if len(b) < 9+64 || len(b) < 9+64+int(b[8]) {
		return Record{}, errors.New("not a record")
	}
	r := Record{Seq: binary.BigEndian.Uint64(b), Peer: peerscore.PeerID(b[9 : 9+b[8]]), Sealed: b}
	sum := sha256.Sum256([]byte(r.Peer))
	r.Group = netip.PrefixFrom(netip.AddrFrom4([4]byte{20, sum[0]}), 16)
	return r, nil
}

// book is a notary as Records.
type book struct{ notary }

func (b book) Verify(sealed []byte) error {
	r, err := b.Parse(sealed)
	if err != nil {
		return err
	}
	body := sealed[:len(sealed)-64]
	if string(stamp(r.Peer, body)) != string(sealed[len(body):]) {
		return errors.New("forged")
	}
	return nil
}

// The wire of the simulation. A frame is a QUIC packet of its own: 28 bytes of
// IPv4 and UDP, 32 of short header, connection id, packet number, tag and
// stream frame, and 3 that the length prefix takes. What is not answered at
// once with a frame is acknowledged with a packet of its own.
const (
	packetBytes = 28 + 32 + 3
	ackBytes    = 28 + 33
	tickEvery   = 100 * time.Millisecond
)

// world is nodes, links between them and what is under way.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	now   time.Time
	loss  float64
	nodes []*node
	byID  map[peerscore.PeerID]*node
	queue events
	seq   uint64
	out   []Action

	falseDeaths int
	faults      int
	on          func(n *node, c Changed)
}

type node struct {
	id    peerscore.PeerID
	m     *Machine
	up    bool
	near  map[peerscore.PeerID]time.Duration // one way
	bytes uint64
	lie   func(to *node, frame []byte) [][]byte // nil: send it as it is
}

type arrival struct {
	at    time.Time
	seq   uint64
	to    *node
	ev    Event
	every bool // a tick
}

type events []arrival

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].seq < e[j].seq
	}
	return e[i].at.Before(e[j].at)
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(arrival)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// newWorld joins n nodes by dials links each, 20 to 150 ms long.
func newWorld(t testing.TB, seed uint64, n, dials int, config Config) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: epoch, byID: make(map[peerscore.PeerID]*node)}
	for i := range n {
		id := peerscore.PeerID(fmt.Sprintf("node-%033d", i)) // 38 bytes, as Ed25519 identities have
		clock := func() time.Time { return w.now }
		keys := notary{self: id, pad: 130, now: clock} // a record of 241 bytes: envelope, key, three addresses
		m, err := New(config, network, id, book{keys}, keys, rand.New(rand.NewPCG(seed, uint64(i+100))))
		require.NoError(t, err)
		node := &node{id: id, m: m, up: true, near: make(map[peerscore.PeerID]time.Duration)}
		w.nodes = append(w.nodes, node)
		w.byID[id] = node
		w.push(w.now.Add(time.Duration(w.rng.Int64N(int64(tickEvery)))), node, Tick{}, true)
	}
	for i, a := range w.nodes {
		for range dials {
			if j := w.rng.IntN(n); j != i {
				w.join(a, w.nodes[j])
			}
		}
	}
	return w
}

func (w *world) join(a, b *node) {
	if a.near[b.id] != 0 {
		return
	}
	long := 20*time.Millisecond + time.Duration(w.rng.Int64N(int64(130*time.Millisecond)))
	a.near[b.id], b.near[a.id] = long, long
	w.push(w.now, a, Connected{b.id}, false)
	w.push(w.now, b, Connected{a.id}, false)
}

func (w *world) push(at time.Time, to *node, ev Event, every bool) {
	w.seq++
	heap.Push(&w.queue, arrival{at, w.seq, to, ev, every})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) {
		a := heap.Pop(&w.queue).(arrival)
		w.now = a.at
		if a.every {
			w.push(a.at.Add(tickEvery), a.to, Tick{}, true)
		}
		if a.to.up {
			w.step(a.to, a.ev)
		}
	}
	w.now = end
}

func (w *world) step(n *node, ev Event) {
	w.out = n.m.Step(w.now, ev, w.out[:0])
	for _, act := range w.out {
		switch act := act.(type) {
		case Send:
			w.send(n, act)
		case Changed:
			if act.State == Dead && w.byID[act.Peer].up {
				w.falseDeaths++
			}
			if w.on != nil {
				w.on(n, act)
			}
		case Fault:
			w.faults++
		}
	}
}

func (w *world) send(n *node, s Send) {
	to := w.byID[s.To]
	frames := [][]byte{s.Frame}
	if n.lie != nil {
		frames = n.lie(to, s.Frame)
	}
	for _, b := range frames {
		n.bytes += uint64(packetBytes + len(b))
		f, err := decodeFrame(b)
		if err == nil && len(f.pings)+len(f.requests)+len(f.relayed) == 0 {
			to.bytes += ackBytes
		}
		if w.rng.Float64() >= w.loss {
			w.push(w.now.Add(n.near[to.id]), to, Received{n.id, b}, false)
		}
	}
}

// sent is the wire bytes of all nodes so far.
func (w *world) sent() (total uint64) {
	for _, n := range w.nodes {
		total += n.bytes
	}
	return total
}

// count is how many nodes that are up have p in the state, p itself not asked.
func (w *world) count(p peerscore.PeerID, s State) (n int) {
	for _, o := range w.nodes {
		if o.up && o.id != p && o.m.State(p) == s {
			n++
		}
	}
	return n
}
