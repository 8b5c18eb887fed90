package overlay

import (
	"cmp"
	"math/bits"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// parcelCost is what a message costs beside its bytes, in bytes: checking a signature
	// takes about as long as hashing so many.
	parcelCost = 16 << 10
	// fairQuantum is what a peer is served per round: about eight small messages, so that
	// a round of twenty peers stays below a batch's worth of work each.
	fairQuantum = 8 * parcelCost
	// fairClasses are the doublings of the fee per byte that are told apart.
	fairClasses = 65
)

// parcel is one published message on its way to pubsub.
type parcel struct {
	raw   []byte // as pubsub encodes it
	class int    // of its value, 0 to fairClasses-1, see classOf
}

func (p parcel) cost() int { return parcelCost + len(p.raw) }

// fairBounds bound what a fairQueue holds.
type fairBounds struct {
	peerMessages int
	peerBytes    int
	allBytes     int
}

// fairQueue keeps the messages of peers until there is time for them. Peers are served in
// turn, by cost, so that none waits for the flood of another. Of one peer's messages those
// that pay more per byte go first, in the order in which they came where they pay alike (to
// within a doubling: transactions of one sender should keep their order); at a bound the
// one that pays least is lost, the newest first. It is not safe for concurrent use.
type fairQueue struct {
	bounds fairBounds // constant
	lines  map[peer.ID]*line
	ring   []peer.ID // the keys of lines, the next to serve first
	bytes  int
	spare  []*line // that nothing waits in, for the next peer: no more than were used at once
}

// line is what waits of one peer.
type line struct {
	classes [fairClasses][]parcel // oldest first
	used    [2]uint64             // bit set of the classes that are not empty
	count   int
	bytes   int
	deficit int // cost that the peer may still use in this round
}

// lost is a message that a fairQueue gave up.
type lost struct {
	from peer.ID
	parcel
}

func newFairQueue(b fairBounds) *fairQueue {
	return &fairQueue{bounds: b, lines: make(map[peer.ID]*line)}
}

// full says whether p should wait with a message of that size: it would cost p one that
// waits. Where all lines together are full that is so only if none is so much longer that it
// can yield the room and still be the longer one.
func (q *fairQueue) full(p peer.ID, size int) bool {
	held := 0
	if l := q.lines[p]; l != nil {
		if l.count >= q.bounds.peerMessages || l.bytes+size > q.bounds.peerBytes {
			return true
		}
		held = l.bytes
	}
	if q.bytes+size <= q.bounds.allBytes {
		return false
	}
	heavy := q.lines[q.heaviest()]
	return heavy == nil || heavy.bytes < held+2*size
}

// differs says whether some message of p that waits is of another class.
func (q *fairQueue) differs(p peer.ID, class int) bool {
	l := q.lines[p]
	return l != nil && (l.lowest() != class || l.highest() != class)
}

// put adds a message of p and returns what is lost for it, which may be the message itself.
func (q *fairQueue) put(p peer.ID, m parcel) (gone []lost) {
	l := q.lines[p]
	if l == nil {
		l = q.fresh()
		q.lines[p] = l
		q.ring = append(q.ring, p)
	}
	l.push(m)
	q.bytes += len(m.raw)
	for l.count > q.bounds.peerMessages || l.bytes > q.bounds.peerBytes {
		gone = append(gone, q.shed(p))
	}
	for q.bytes > q.bounds.allBytes {
		gone = append(gone, q.shed(q.heaviest()))
	}
	return gone
}

// fresh is a line in which nothing waits.
func (q *fairQueue) fresh() *line {
	if len(q.spare) == 0 {
		return new(line)
	}
	l := q.spare[len(q.spare)-1]
	q.spare = q.spare[:len(q.spare)-1]
	return l
}

// heaviest is the peer that holds most bytes; of equal ones the one with the greater id.
func (q *fairQueue) heaviest() (heavy peer.ID) {
	most := -1
	for p, l := range q.lines {
		if c := cmp.Or(cmp.Compare(l.bytes, most), cmp.Compare(p, heavy)); c > 0 {
			heavy, most = p, l.bytes
		}
	}
	return heavy
}

// shed gives up the least valuable message of p, which must have one.
func (q *fairQueue) shed(p peer.ID) lost {
	l := q.lines[p]
	m := l.popNewest(l.lowest())
	q.removed(p, l, m)
	return lost{p, m}
}

// next removes and returns the message that is to be served now, of the peers that may be
// served.
func (q *fairQueue) next(may func(peer.ID) bool) (p peer.ID, m parcel, ok bool) {
	for barred := 0; barred < len(q.ring); {
		p = q.ring[0]
		l := q.lines[p]
		if !may(p) {
			barred++
			q.rotate()
			continue
		}
		barred = 0
		best := l.highest()
		if cost := l.classes[best][0].cost(); l.deficit < cost {
			l.deficit += fairQuantum
			q.rotate()
			continue
		}
		m = l.popOldest(best)
		l.deficit -= m.cost()
		q.removed(p, l, m)
		return p, m, true
	}
	return "", parcel{}, false
}

func (q *fairQueue) rotate() { q.ring = append(q.ring[1:], q.ring[0]) }

// removed settles the accounts after m has left the line of p.
func (q *fairQueue) removed(p peer.ID, l *line, m parcel) {
	q.bytes -= len(m.raw)
	if l.count == 0 {
		q.forget(p)
	}
}

// forget drops all that waits of p.
func (q *fairQueue) forget(p peer.ID) {
	l := q.lines[p]
	if l == nil {
		return
	}
	q.bytes -= l.bytes
	delete(q.lines, p)
	if l.count == 0 {
		l.deficit = 0
		q.spare = append(q.spare, l)
	}
	for i, o := range q.ring {
		if o == p {
			q.ring = append(q.ring[:i], q.ring[i+1:]...)
			return
		}
	}
}

// waits is the number of messages that wait of p.
func (q *fairQueue) waits(p peer.ID) int {
	if l := q.lines[p]; l != nil {
		return l.count
	}
	return 0
}

func (l *line) push(m parcel) {
	l.classes[m.class] = append(l.classes[m.class], m)
	l.used[m.class/64] |= 1 << (m.class % 64)
	l.count++
	l.bytes += len(m.raw)
}

func (l *line) popOldest(class int) parcel {
	m := l.classes[class][0]
	l.classes[class][0] = parcel{}
	l.classes[class] = l.classes[class][1:]
	l.popped(class, m)
	return m
}

func (l *line) popNewest(class int) parcel {
	end := len(l.classes[class]) - 1
	m := l.classes[class][end]
	l.classes[class][end] = parcel{}
	l.classes[class] = l.classes[class][:end]
	l.popped(class, m)
	return m
}

func (l *line) popped(class int, m parcel) {
	if len(l.classes[class]) == 0 {
		l.classes[class] = nil
		l.used[class/64] &^= 1 << (class % 64)
	}
	l.count--
	l.bytes -= len(m.raw)
}

func (l *line) highest() int {
	if l.used[1] != 0 {
		return 64 + bits.Len64(l.used[1]) - 1
	}
	return bits.Len64(l.used[0]) - 1
}

func (l *line) lowest() int {
	if l.used[0] != 0 {
		return bits.TrailingZeros64(l.used[0])
	}
	return 64 + bits.TrailingZeros64(l.used[1])
}

// Field numbers that classOf looks at: of a transaction, and of a body of the built-in
// application.
const (
	txBody  = 1
	bodyFee = 4
)

// classOf says how valuable a transaction claims to be: the doublings of its fee per byte.
// Nothing is verified yet, so the claim only orders messages of one peer. What another
// application has for a body may have any class, as little as a lie would.
func classOf(tx []byte) int {
	var fee uint64
	_ = fields(tx, func(num protowire.Number, typ protowire.Type, body []byte) error {
		if num == txBody && typ == protowire.BytesType {
			fee = varintField(body, bodyFee)
		}
		return nil
	})
	return bits.Len64(fee / uint64(max(1, len(tx))))
}

// varintField is the first varint of that number in an encoded message; 0 if there is none
// or what precedes it cannot be read.
func varintField(b []byte, want protowire.Number) uint64 {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0
		}
		b = b[n:]
		if num == want && typ == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			return v
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return 0
		}
		b = b[n:]
	}
	return 0
}
