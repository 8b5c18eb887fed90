package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Observer notes what the node of one seat says of itself: which messages it
// knows to be valid, and since when. Only the seat's own participant may tell
// it, so that what arrived is never concluded from what was sent. Its methods
// are safe for concurrent use, quick, and for calls inside the bubble.
type Observer struct {
	status *status // shared by all; told how far the run is; may be nil

	mu     sync.Mutex // guards what follows
	first  [kinds]map[ID]time.Time
	made   []made
	copies [kinds]map[ID]int
	counts Counts
	charge string           // the first that the node made to a peer
	guilty map[peer.ID]bool // whom it charged
}

// made is a message that began at the seat.
type made struct {
	kind Kind
	id   ID
	size int
	at   time.Time
}

// Counts are what an observer counts beside deliveries.
type Counts struct {
	Dropped    int // messages given up for load, by sender or receiver
	Offences   int // charged to peers
	Rebuilt    int // blocks put together from the pool or by asking
	Asked      int // of these, those that needed a request
	RolledBack int // blocks that left the best chain
}

// Valid says that the node has received a message and knows it to be valid.
// Only the first time counts.
func (o *Observer) Valid(kind Kind, id ID) { o.know(kind, id, time.Now()) }

func (o *Observer) know(kind Kind, id ID, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first[kind] == nil {
		o.first[kind] = make(map[ID]time.Time)
	}
	if _, ok := o.first[kind][id]; ok {
		return
	}
	o.first[kind][id] = now
	if o.status != nil {
		o.status.delivered.Add(1)
	}
}

// Made says that a message of size bytes begins at this node now.
func (o *Observer) Made(kind Kind, id ID, size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.made = append(o.made, made{kind, id, size, time.Now()})
	if o.status != nil {
		o.status.published.Add(1)
	}
}

// Copy says that the node was handed a message by a peer, the first time or
// again. Those of messages that do not count, such as an attacker's, are never
// asked for.
func (o *Observer) Copy(kind Kind, id ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.copies[kind] == nil {
		o.copies[kind] = make(map[ID]int)
	}
	o.copies[kind][id]++
}

// Count adds to what is counted.
func (o *Observer) Count(c Counts) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts.Dropped += c.Dropped
	o.counts.Offences += c.Offences
	o.counts.Rebuilt += c.Rebuilt
	o.counts.Asked += c.Asked
	o.counts.RolledBack += c.RolledBack
}

// Charged says that the node charged an offence to a peer, and why.
func (o *Observer) Charged(who peer.ID, what fmt.Stringer, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts.Offences++
	if o.guilty == nil {
		o.guilty = make(map[peer.ID]bool)
	}
	o.guilty[who] = true
	if o.charge == "" {
		o.charge = fmt.Sprintf("%s: %v", what, why)
	}
}

func (o *Observer) addCharged(all map[peer.ID]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.guilty {
		all[p] = true
	}
}

func (o *Observer) firstCharge() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.charge
}
