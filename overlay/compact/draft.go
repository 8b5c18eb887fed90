package compact

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what colliding short ids may cost. A producer can choose transactions that
// collide under its salt, so that each has to end somewhere: beyond, the transaction is
// asked for.
const (
	// MaxCandidates bounds the known transactions that are kept for one short id.
	MaxCandidates = 4
	// MaxGuesses bounds how many combinations of candidates are held against tx_root.
	// Honest blocks have one collision in a million blocks.
	MaxGuesses = 16
)

// Draft is the body of a block while it is being put together from transactions that
// were known and ones that were sent. It is for one goroutine.
type Draft struct {
	body   *wire.HeaderBody
	ids    []wire.ShortID
	places []place
	at     map[wire.ShortID]int32 // the first place of a short id
	open   int                    // places that are not filled
	bytes  int                    // of the transactions in those that are
}

// place is where one transaction of the block belongs.
type place struct {
	part  validation.Part
	from  peerscore.PeerID       // who sent it as proved; empty for all others
	again int32                  // the next place of the same short id, -1 for none
	maybe []validation.CheckedTx // candidates, ascending by id, where there is a doubt
}

func (p *place) filled() bool { return p.part.Tx != nil || !p.part.Checked.IsZero() }

// NewDraft matches the short ids of a block with the known transactions, in whatever
// order they come: the draft does not depend on it. A short id that fits one place and
// one transaction is filled in; where there are several of either, the candidates are
// kept and the place counts as missing.
func NewDraft(h *wire.HeaderBody, ids []wire.ShortID, known iter.Seq[validation.CheckedTx]) *Draft {
	d := &Draft{body: h, ids: ids, places: make([]place, len(ids)), at: make(map[wire.ShortID]int32, len(ids)), open: len(ids)}
	for i := len(ids) - 1; i >= 0; i-- {
		d.places[i].again = -1
		if j, twice := d.at[ids[i]]; twice {
			d.places[i].again = j
		}
		d.at[ids[i]] = int32(i)
	}
	if known == nil || len(ids) == 0 {
		return d
	}
	for tx := range known {
		if i, ok := d.at[wire.ShortIDOf(h.Salt, tx.ID())]; ok {
			d.places[i].candidate(tx)
		}
	}
	for i := range d.places {
		p := &d.places[i]
		switch {
		case len(p.maybe) > MaxCandidates:
			p.maybe = nil
		case len(p.maybe) == 1 && p.again < 0 && d.at[ids[i]] == int32(i):
			p.part.Checked, p.maybe = p.maybe[0], nil
			d.open--
			d.bytes += p.part.Checked.Size()
		}
	}
	return d
}

// candidate keeps tx, and one more than allowed, which says that there were too many.
func (p *place) candidate(tx validation.CheckedTx) {
	id := tx.ID()
	k, known := slices.BinarySearchFunc(p.maybe, id, func(c validation.CheckedTx, id wire.TxID) int {
		cid := c.ID()
		return bytes.Compare(cid[:], id[:])
	})
	if !known && len(p.maybe) <= MaxCandidates {
		p.maybe = slices.Insert(p.maybe, k, tx)
	}
}

// Len is the number of transactions of the block.
func (d *Draft) Len() int { return len(d.places) }

// Open is the number of transactions that are missing.
func (d *Draft) Open() int { return d.open }

// Bytes is what the transactions take that are there.
func (d *Draft) Bytes() int { return d.bytes }

// Missing lists the places that are not filled, in rising order.
func (d *Draft) Missing() []uint32 {
	missing := make([]uint32, 0, d.open)
	for i := range d.places {
		if !d.places[i].filled() {
			missing = append(missing, uint32(i))
		}
	}
	return missing
}

// Lacks reports whether place i is not filled.
func (d *Draft) Lacks(i uint32) bool { return int(i) < len(d.places) && !d.places[i].filled() }

// Tx is the transaction of place i, nil if it is missing.
func (d *Draft) Tx(i uint32) *wire.Transaction {
	if int(i) >= len(d.places) {
		return nil
	}
	if p := d.places[i].part; p.Tx != nil || p.Checked.IsZero() {
		return p.Tx
	}
	return d.places[i].part.Checked.Tx()
}

// Add fills place i with what was sent. A place that is filled stays as it is. prover is
// the peer if it said to have proved the body, else empty. The error is a Fault of whoever
// sent it.
func (d *Draft) Add(i uint32, tx *wire.Transaction, prover peerscore.PeerID) error {
	if int(i) >= len(d.places) {
		return fmt.Errorf("%w: place %d of a block of %d", Garbage, i, len(d.places))
	}
	if wire.ShortIDOf(d.body.Salt, tx.ID()) != d.ids[i] {
		return fmt.Errorf("%w: %s is not number %d", WrongTx, tx.ID(), i)
	}
	p := &d.places[i]
	if p.filled() {
		return nil
	}
	p.part, p.from = validation.Part{Tx: tx}, prover
	d.open--
	d.bytes += tx.Size()
	return nil
}

// Close returns the body if it is the one that the header signs. Where only doubts are
// left it tries the candidates. ok is false while transactions are missing. A Collision
// blames nobody: one of the known transactions may have the short id of another.
func (d *Draft) Close() (parts []validation.Part, ok bool, err error) {
	doubts := d.doubts()
	if len(doubts) != d.open {
		return nil, false, nil
	}
	ids := make([]wire.TxID, len(d.places))
	parts = make([]validation.Part, len(d.places))
	for i := range d.places {
		if p := &d.places[i]; p.filled() {
			parts[i], ids[i] = p.part, d.Tx(uint32(i)).ID()
		}
	}
	guesses := 0
	if d.guess(doubts, parts, ids, &guesses) {
		return parts, true, nil
	}
	if len(doubts) > 0 {
		for _, i := range doubts { // none of them: they are to be asked for
			d.places[i].maybe = nil
			d.places[d.at[d.ids[i]]].maybe = nil
		}
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("%w: %d transactions", Collision, len(parts))
}

// whole reports whether the transactions that were known are the body. That the pool has all of
// those that a header lists is no body yet: a producer may list what it likes.
func (d *Draft) whole() bool {
	if d.open > 0 {
		return false
	}
	_, ok, _ := d.Close()
	return ok
}

// doubts lists the open places that have candidates.
func (d *Draft) doubts() []int {
	if d.open == 0 || d.open > MaxGuesses {
		return nil
	}
	var doubts []int
	for _, i := range d.Missing() {
		if len(d.candidates(int(i))) > 0 {
			doubts = append(doubts, int(i))
		}
	}
	return doubts
}

// candidates of a place are kept with the first one of its short id.
func (d *Draft) candidates(i int) []validation.CheckedTx { return d.places[d.at[d.ids[i]]].maybe }

// guess tries the candidates of the doubts, each in turn, until the root is right.
func (d *Draft) guess(doubts []int, parts []validation.Part, ids []wire.TxID, guesses *int) bool {
	if len(doubts) == 0 {
		*guesses++
		return wire.TxRoot(ids) == d.body.TxRoot
	}
	i := doubts[0]
	for _, tx := range d.candidates(i) {
		if *guesses >= MaxGuesses {
			return false
		}
		parts[i], ids[i] = validation.Part{Checked: tx}, tx.ID()
		if d.guess(doubts[1:], parts, ids, guesses) {
			return true
		}
	}
	return false
}

// Liars lists, ascending, who sent as proved a transaction that is not the one of its
// place, now that the right body is known.
func (d *Draft) Liars(right []*wire.Transaction) []peerscore.PeerID {
	var liars []peerscore.PeerID
	for i := range min(len(d.places), len(right)) {
		if p := &d.places[i]; p.from != "" && p.part.Tx.ID() != right[i].ID() {
			liars = append(liars, p.from)
		}
	}
	slices.Sort(liars)
	return slices.Compact(liars)
}
