package dial

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Damaged says why bytes are not a state that AppendTo wrote.
type Damaged string

const (
	Checksum     Damaged = "checksum does not match"
	OtherVersion Damaged = "written by another version"
	CutShort     Damaged = "ends too early"
	Impossible   Damaged = "holds what no address book can hold"
	NotCanonical Damaged = "there is another form of the same"
)

func (d Damaged) Error() string { return "dial: saved state " + string(d) }

// stateVersion changes with the layout and with the sizes of the tables.
const stateVersion = 1

// MaxState bounds the bytes of a state: full tables of the longest addresses.
const MaxState = (freshBuckets+triedBuckets)*slots*maxEntry + MaxAnchors*maxEntry + 64

// maxEntry bounds one entry: 1 of flags, 1+64 of the peer, 1+16+2 of the
// address, 1+4 of the source group, 3 times of up to 10, 1 of failures.
const maxEntry = 1 + 1 + MaxPeerID + 1 + 16 + 2 + 1 + 4 + 3*10 + 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendTo appends what should outlive the process: the key, the addresses and
// the anchors, with the links of now credited. It has one form: equal states
// are equal bytes.
func (k *Keeper) AppendTo(now time.Time, dst []byte) []byte {
	for _, l := range k.links {
		k.credit(now, l)
	}
	return k.appendState(dst)
}

func (k *Keeper) appendState(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, stateVersion)
	dst = append(dst, k.book.key[:]...)
	for _, t := range [2]*table{&k.book.fresh, &k.book.tried} {
		dst = binary.AppendUvarint(dst, uint64(t.used))
		for _, e := range t.at {
			if e == nil {
				continue
			}
			dst = appendAddress(dst, e.addr)
			g := groupBytes(e.source)
			dst = append(dst, byte(len(g)))
			dst = append(dst, g...)
			for _, unix := range [3]int64{e.heard, e.try, e.good} {
				dst = binary.AppendUvarint(dst, uint64(max(0, unix)))
			}
			dst = append(dst, e.fails)
		}
	}
	dst = append(dst, byte(len(k.anchors)))
	for _, a := range k.anchors {
		dst = appendAddress(dst, a.addr)
		dst = binary.AppendUvarint(dst, uint64(a.served/time.Second))
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func appendAddress(dst []byte, a Address) []byte {
	dst = append(dst, byte(a.Over), byte(len(a.Peer)))
	dst = append(dst, a.Peer...)
	ip := a.At.Addr().AsSlice()
	dst = append(dst, byte(len(ip)))
	dst = append(dst, ip...)
	return binary.BigEndian.AppendUint16(dst, a.At.Port())
}

// Restore returns the Keeper whose state was saved. The error wraps a Damaged;
// what to do then is the operator's decision, for the key is lost with it.
func Restore(config Config, saved []byte, bootstrap []Address, rng *rand.Rand) (*Keeper, error) {
	fail := func(why error) (*Keeper, error) { return nil, fmt.Errorf("restore address book: %w", why) }
	if len(saved) < 1+len(Key{})+4 {
		return fail(CutShort)
	}
	if len(saved) > MaxState {
		return fail(Impossible)
	}
	body := saved[:len(saved)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(saved[len(body):]) {
		return fail(Checksum)
	}
	if body[0] != stateVersion {
		return fail(OtherVersion)
	}
	k, err := New(config, Key(body[1:17]), bootstrap, rng)
	if err != nil {
		return nil, err
	}
	d := decoder{rest: body[17:]}
	k.book.restore(&d)
	n := int(d.byte())
	d.check(n <= MaxAnchors)
	for range n {
		a := anchor{addr: d.address()}
		seconds := d.uvarint(math.MaxInt32)
		a.served = time.Duration(seconds) * time.Second
		if d.err != nil {
			break
		}
		if len(k.anchors) > 0 {
			last := k.anchors[len(k.anchors)-1]
			d.check(cmp.Or(cmp.Compare(a.served, last.served), last.addr.compare(a.addr)) < 0)
		}
		k.anchors = append(k.anchors, a)
	}
	d.check(len(d.rest) == 0)
	if d.err != nil {
		return fail(d.err)
	}
	if !bytes.Equal(k.appendState(make([]byte, 0, len(saved))), saved) {
		return fail(NotCanonical)
	}
	k.trimAnchors() // PerGroup may have been another
	return k, nil
}

// restore fills the empty book b.
func (b *Book) restore(d *decoder) {
	for _, t := range [2]*table{&b.fresh, &b.tried} {
		n := int(d.uvarint(uint64(len(t.at))))
		last := -1
		for range n {
			e := &entry{addr: d.address(), tried: t == &b.tried}
			e.source = d.group()
			e.heard, e.try, e.good = d.time(), d.time(), d.time()
			e.fails = d.byte()
			if d.err != nil {
				return
			}
			place := b.key.freshPlace(e.addr, e.source)
			if e.tried {
				place = b.key.triedPlace(e.addr)
			}
			d.check(place > last && b.entries[e.addr] == nil && len(b.peers[e.addr.Peer]) < MaxPerPeer)
			if d.err != nil {
				return
			}
			last = place
			b.insert(e, place)
		}
	}
}

// decoder takes values from bytes. The first error is kept, and all values
// after it are zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) check(ok bool) {
	if !ok && d.err == nil {
		d.err = Impossible
	}
}

func (d *decoder) take(n int) []byte {
	if d.err == nil && n > len(d.rest) {
		d.err = CutShort
	}
	if d.err != nil {
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint(limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.err = CutShort
		return 0
	}
	d.rest = d.rest[n:]
	d.check(v <= limit)
	if d.err != nil {
		return 0
	}
	return v
}

func (d *decoder) time() int64 { return int64(d.uvarint(math.MaxInt64)) }

func (d *decoder) ip(n int) netip.Addr {
	ip, ok := netip.AddrFromSlice(d.take(n))
	d.check(ok)
	return ip
}

func (d *decoder) address() Address {
	a := Address{Over: Transport(d.byte())}
	a.Peer = peerscore.PeerID(d.take(int(d.byte())))
	ip := d.ip(int(d.byte()))
	if port := d.take(2); port != nil {
		a.At = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port))
	}
	d.check(a.valid())
	return a
}

func (d *decoder) group() Group {
	n := int(d.byte())
	b := d.take(n)
	switch {
	case d.err != nil:
		return Group{}
	case n == 2:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{b[0], b[1]}), 16)
	case n == 4:
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{b[0], b[1], b[2], b[3]}), 32)
	}
	d.check(false)
	return Group{}
}
