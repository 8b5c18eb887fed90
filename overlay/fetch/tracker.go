package fetch

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/dchest/siphash"
	"github.com/tidwall/btree"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Key is secret and random: who knows it knows whom we ask first.
type Key [16]byte

// Source is a peer as it stands when it announces something.
type Source struct {
	Peer      peerscore.PeerID
	Preferred bool          // to be asked before those that are not
	Doubted   bool          // to be asked after all others, and no ground to hope for anything
	RTT       time.Duration // round-trip time; 0 if not known
	Most      int           // announcements of its that may wait or be asked for; 0 is Config.MaxAnnounced
}

// Request is to be sent to a peer.
type Request struct {
	Peer  peerscore.PeerID
	IDs   []wire.TxID // at most Config.MaxRequest
	Until time.Time   // when the last of them expires, if nothing comes until then
}

// Broken is a request that was not answered in time.
type Broken struct {
	Peer peerscore.PeerID
	ID   wire.TxID
}

// Tracker knows who announced which transactions, and whom they were asked for.
// It is not safe for concurrent use.
type Tracker struct {
	config Config // constant
	k0, k1 uint64 // constant

	items  map[wire.TxID]*item
	peers  map[peerscore.PeerID]*peer
	timers *btree.BTreeG[*attempt] // those delayed or asked, by when that ends
	loose  []*item                 // to be looked at by the next Tick, each once
	freed  []*peer                 // have fewer requests in flight than when something began to wait for them
	serial uint64                  // of attempts
	total  int                     // attempts
	likely int                     // items with hopes
}

// item is a transaction that is wanted.
type item struct {
	id       wire.TxID
	attempts []*attempt
	asked    *attempt // the one request that is out, if any
	hopes    int      // attempts that are not over, of peers that are not doubted
	loose    bool     // in Tracker.loose
}

// peer is who announced something that is still remembered.
type peer struct {
	id       peerscore.PeerID
	attempts map[wire.TxID]*attempt
	order    []*attempt // those and some that are forgotten, oldest first
	live     int        // attempts that are not over
	inFlight int
	since    time.Time  // inFlight was 0 last
	progress time.Time  // something came last; zero if nothing did since then
	came     int        // bytes, since then
	waiting  []*attempt // ready, passed over for inFlight; some are so no more
	freed    bool       // in Tracker.freed
}

// attempt is one announcement and what became of it.
type attempt struct {
	item      *item
	peer      *peer
	serial    uint64
	preferred bool
	doubted   bool
	rank      uint64 // among equals the highest is asked first
	expiry    time.Duration
	state     state
	at        time.Time // when the delay or the request ends
	since     time.Time // it was asked for
	waiting   bool      // in peer.waiting
	forgotten bool
}

type state uint8

const (
	delayed state = iota // not to be asked yet
	ready                // may be asked
	asked                // a request is out
	over                 // did not deliver; remembered, so that it is not asked again
)

// New returns a Tracker without announcements, or an error that lists what is
// wrong with the configuration.
func New(config Config, key Key) (*Tracker, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("fetch: new tracker: %w", err)
	}
	return &Tracker{
		config: config,
		k0:     binary.LittleEndian.Uint64(key[:8]),
		k1:     binary.LittleEndian.Uint64(key[8:]),
		items:  make(map[wire.TxID]*item),
		peers:  make(map[peerscore.PeerID]*peer),
		timers: btree.NewBTreeGOptions(sooner, btree.Options{NoLocks: true}),
	}, nil
}

func sooner(a, b *attempt) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.serial < b.serial
}

// Announced tells that a peer has a transaction which we do not have. It reports
// whether that is news: false if the peer had announced it before, or has
// announced as much as it may, which is less when others announce much.
func (t *Tracker) Announced(now time.Time, from Source, id wire.TxID) bool {
	p := t.peers[from.Peer]
	switch {
	case p == nil:
		p = &peer{id: from.Peer, attempts: make(map[wire.TxID]*attempt)}
	case p.attempts[id] != nil || len(p.attempts) >= t.config.MaxAnnounced || from.Most > 0 && p.live >= from.Most:
		return false
	}
	if t.total >= t.config.MaxTotal && !t.makeRoom(p) {
		return false
	}
	it := t.items[id]
	if it == nil {
		it = &item{id: id}
		t.items[id] = it
	}
	t.serial++
	a := &attempt{
		item: it, peer: p, serial: t.serial, preferred: from.Preferred, doubted: from.Doubted,
		rank: t.rank(id, from.Peer), expiry: t.config.expiry(from.RTT),
	}
	it.attempts = append(it.attempts, a)
	if !a.doubted {
		t.hope(it, 1)
	}
	p.attempts[id] = a
	p.live++
	p.order = append(p.order, a)
	t.peers[p.id] = p
	t.total++
	if from.Preferred || t.config.OtherDelay == 0 {
		a.state = ready
		t.loosen(it)
	} else {
		a.at = now.Add(t.config.OtherDelay)
		t.timers.Set(a)
	}
	return true
}

// Revise applies what a Source says now of Doubted and Most to what that peer has announced
// already. Beyond Most, it loses the newest that nobody was asked for.
func (t *Tracker) Revise(from Source) {
	p := t.peers[from.Peer]
	if p == nil {
		return
	}
	for _, a := range p.order {
		if a.forgotten || a.state == over || a.doubted == from.Doubted {
			continue
		}
		if a.doubted = from.Doubted; a.doubted {
			t.hope(a.item, -1)
		} else {
			t.hope(a.item, 1)
		}
	}
	if from.Most == 0 {
		return
	}
	for _, a := range slices.Backward(slices.Clone(p.order)) { // forgetting changes it
		if p.live <= from.Most {
			return
		}
		if !a.forgotten && a.state != asked && a.state != over {
			t.lose(a)
		}
	}
}

// hope counts an attempt of which there is hope, or which is over.
func (t *Tracker) hope(it *item, n int) {
	had := it.hopes > 0
	it.hopes += n
	switch has := it.hopes > 0; {
	case has && !had:
		t.likely++
	case had && !has:
		t.likely--
	}
}

func (t *Tracker) rank(id wire.TxID, peer peerscore.PeerID) uint64 {
	return siphash.Hash(t.k0, t.k1, append(id[:], peer...))
}

// Arrived tells that a transaction is known now, or not wanted any more.
func (t *Tracker) Arrived(id wire.TxID) {
	if it := t.items[id]; it != nil {
		t.forget(it)
	}
}

// Failed tells that a peer answered a request, and not with the transaction: it
// has it no more, or sent something else. A peer that was not asked changes
// nothing. It reports whether the peer was asked.
func (t *Tracker) Failed(from peerscore.PeerID, id wire.TxID) bool {
	if !t.Asks(from, id) {
		return false
	}
	t.finish(t.items[id].asked)
	return true
}

// Progress tells that so many bytes of answers came from a peer: it has longer for all that it
// was asked for. See Config.MinRate and Config.MaxPatience.
func (t *Tracker) Progress(now time.Time, from peerscore.PeerID, size int) {
	if p := t.peers[from]; p != nil && p.inFlight > 0 {
		p.progress = now
		p.came += size
	}
}

// Asks reports whether a request of that peer for that transaction is out.
func (t *Tracker) Asks(from peerscore.PeerID, id wire.TxID) bool {
	it := t.items[id]
	return it != nil && it.asked != nil && it.asked.peer.id == from
}

// Gone tells that a peer is not connected any more: its announcements are
// forgotten, and what it was asked for is asked of others.
func (t *Tracker) Gone(id peerscore.PeerID) {
	p := t.peers[id]
	if p == nil {
		return
	}
	all := make([]*attempt, 0, len(p.attempts))
	for _, a := range p.attempts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *attempt) int { return cmp.Compare(a.serial, b.serial) })
	for _, a := range all {
		if a.state != over {
			t.finish(a)
		}
		if p.attempts[a.item.id] == a { // unless its item was forgotten
			t.drop(a)
			a.item.attempts = slices.DeleteFunc(a.item.attempts, func(b *attempt) bool { return a == b })
		}
	}
}

// Tick returns whom to ask for what now, and which requests have expired since
// the last one. What it says to ask counts as asked.
func (t *Tracker) Tick(now time.Time) (requests []Request, broken []Broken) {
	for a, ok := t.timers.Min(); ok && !a.at.After(now); a, ok = t.timers.Min() {
		if until := t.patience(a); until.After(now) {
			t.timers.Delete(a)
			a.at = until
			t.timers.Set(a)
			continue
		}
		if a.state == asked {
			broken = append(broken, Broken{a.peer.id, a.item.id})
			t.finish(a)
			continue
		}
		t.timers.Delete(a)
		a.state = ready
		t.loosen(a.item)
	}
	last := map[*peer]int{} // the request being filled
	for t.wake(); len(t.loose) > 0; t.wake() {
		for i := 0; i < len(t.loose); i++ {
			it := t.loose[i]
			it.loose = false
			a := it.choose(t.config.MaxInFlight)
			if a == nil {
				continue
			}
			t.ask(now, a)
			n, ok := last[a.peer]
			if !ok || len(requests[n].IDs) == t.config.MaxRequest {
				n = len(requests)
				last[a.peer] = n
				requests = append(requests, Request{Peer: a.peer.id})
			}
			r := &requests[n]
			r.IDs = append(r.IDs, it.id)
			if a.at.After(r.Until) {
				r.Until = a.at
			}
		}
		t.loose = t.loose[:0]
	}
	for _, p := range t.freed {
		p.freed = false
	}
	t.freed = t.freed[:0]
	return requests, broken
}

// Next is when to call Tick at the latest, if there is such a time. A time
// that has passed, or the zero time, is now.
func (t *Tracker) Next() (time.Time, bool) {
	if len(t.loose) > 0 || len(t.freed) > 0 {
		return time.Time{}, true
	}
	a, ok := t.timers.Min()
	if !ok {
		return time.Time{}, false
	}
	return a.at, true
}

// Len is how many transactions are wanted.
func (t *Tracker) Len() int { return len(t.items) }

// Likely is how many of them somebody announced who is not doubted, and may still give them.
func (t *Tracker) Likely() int { return t.likely }

// choose returns whom to ask, and has the item wait for those that it passed
// over if there is nobody.
func (it *item) choose(maxInFlight int) *attempt {
	if it.asked != nil {
		return nil
	}
	var best *attempt
	for _, a := range it.attempts {
		if a.state == ready && a.peer.inFlight < maxInFlight && (best == nil || a.before(best)) {
			best = a
		}
	}
	if best != nil {
		return best
	}
	for _, a := range it.attempts {
		if a.state == ready && !a.waiting {
			a.waiting = true
			a.peer.waiting = append(a.peer.waiting, a)
		}
	}
	return nil
}

func (a *attempt) before(b *attempt) bool {
	if a.doubted != b.doubted {
		return b.doubted
	}
	if a.preferred != b.preferred {
		return a.preferred
	}
	return a.rank > b.rank
}

func (t *Tracker) ask(now time.Time, a *attempt) {
	if p := a.peer; p.inFlight == 0 {
		p.since, p.progress, p.came = now, time.Time{}, 0
	}
	a.state, a.since, a.at = asked, now, now.Add(a.expiry+time.Duration(a.peer.inFlight)*t.config.Each)
	a.item.asked = a
	a.peer.inFlight++
	t.timers.Set(a)
}

// patience is until when something that came meanwhile has us wait for an attempt.
func (t *Tracker) patience(a *attempt) time.Time {
	p := a.peer
	if a.state != asked || p.progress.IsZero() {
		return a.at
	}
	until := p.progress.Add(a.expiry)
	worth := time.Duration(float64(p.came) / float64(t.config.MinRate) * float64(time.Second))
	for _, most := range []time.Time{p.since.Add(a.expiry + worth), a.since.Add(t.config.MaxPatience)} {
		if most.Before(until) {
			until = most
		}
	}
	return until
}

// finish ends an attempt that did not deliver. The item is forgotten with its
// last hope, and then nothing keeps the same peers from being asked again.
func (t *Tracker) finish(a *attempt) {
	t.settle(a)
	it := a.item
	if !slices.ContainsFunc(it.attempts, func(b *attempt) bool { return b.state != over }) {
		t.forget(it)
		return
	}
	t.loosen(it)
}

// settle takes an attempt out of what is under way.
func (t *Tracker) settle(a *attempt) {
	switch a.state {
	case delayed:
		t.timers.Delete(a)
	case asked:
		t.timers.Delete(a)
		a.item.asked = nil
		a.peer.inFlight--
		if p := a.peer; len(p.waiting) > 0 && !p.freed {
			p.freed = true
			t.freed = append(t.freed, p)
		}
	case ready:
	case over:
		return
	}
	a.state = over
	a.peer.live--
	if !a.doubted {
		t.hope(a.item, -1)
	}
}

// wake has as many transactions looked at again as the freed peers have places. A
// transaction may then go elsewhere: Tick calls until no place is wanted.
func (t *Tracker) wake() {
	for _, p := range t.freed {
		places := t.config.MaxInFlight - p.inFlight
		if places < t.config.Refill {
			continue // as soon as more come free it is among the freed again
		}
		for places > 0 && len(p.waiting) > 0 {
			a := p.waiting[0]
			p.waiting = p.waiting[1:]
			a.waiting = false
			if a.state == ready && a.item.asked == nil {
				t.loosen(a.item)
				places--
			}
		}
	}
}

func (t *Tracker) loosen(it *item) {
	if !it.loose {
		it.loose = true
		t.loose = append(t.loose, it)
	}
}

// forget drops an item and all that was announced of it.
func (t *Tracker) forget(it *item) {
	delete(t.items, it.id)
	for _, a := range it.attempts {
		t.settle(a)
		t.drop(a)
	}
	it.attempts = nil // it may still be among the loose
}

func (t *Tracker) drop(a *attempt) {
	p := a.peer
	delete(p.attempts, a.item.id)
	t.total--
	a.forgotten = true
	switch {
	case len(p.attempts) == 0:
		delete(t.peers, p.id)
	case len(p.order) > 2*len(p.attempts)+16:
		p.order = slices.DeleteFunc(p.order, func(a *attempt) bool { return a.forgotten })
	}
}

// makeRoom takes the newest announcement of the peer that has most of them, if
// that is clearly more than p has. What was asked for stays, or asking for it
// again would be up to the peer.
func (t *Tracker) makeRoom(p *peer) bool {
	var largest *peer
	for _, q := range t.peers {
		if largest == nil || len(q.attempts) > len(largest.attempts) ||
			len(q.attempts) == len(largest.attempts) && q.id < largest.id {
			largest = q
		}
	}
	if largest == nil || len(largest.attempts) <= len(p.attempts)+1 {
		return false
	}
	for _, a := range slices.Backward(largest.order) {
		if a.forgotten || a.state == asked || a.state == over {
			continue
		}
		t.lose(a)
		return true
	}
	return false
}

// lose forgets an attempt that nobody was asked for, and the item with its last
// hope.
func (t *Tracker) lose(a *attempt) {
	t.settle(a)
	t.drop(a)
	it := a.item
	it.attempts = slices.DeleteFunc(it.attempts, func(b *attempt) bool { return a == b })
	if !slices.ContainsFunc(it.attempts, func(b *attempt) bool { return b.state != over }) {
		t.forget(it)
	}
}
