package peerscore

import (
	"iter"
	"math"
	"time"
)

// tally keeps a decaying number for each of a bounded set of names. All of them
// halve at one rate, so the order of two never changes while neither grows; what
// is kept is the logarithm of the number that a name would have had at the
// epoch, and decaying is a subtraction at the moment of asking.
type tally struct {
	halfLife   time.Duration // constant
	negligible float64       // what counts as none

	epoch time.Time // of the first number
	shelf shelf[float64]
}

func newTally(halfLife time.Duration, negligible float64, limit int) tally {
	return tally{halfLife: halfLife, negligible: negligible, shelf: newShelf[float64](limit)}
}

func (t *tally) at(now time.Time, name PeerID) float64 {
	rank, ok := t.shelf.rank(name)
	if !ok {
		return 0
	}
	number := math.Exp2(rank - t.halfLives(now.Sub(t.epoch)))
	if number < t.negligible {
		return 0
	}
	return number
}

// set replaces the number of a name. One that is negligible is forgotten.
func (t *tally) set(now time.Time, name PeerID, number float64) {
	if t.epoch.IsZero() {
		t.epoch = now
	}
	if !(number >= t.negligible) || math.IsInf(number, 1) {
		t.shelf.drop(name)
		return
	}
	t.shelf.put(name, math.Log2(number)+t.halfLives(now.Sub(t.epoch)))
}

// heaviest yields the names whose number is not negligible, the largest first.
func (t *tally) heaviest(now time.Time) iter.Seq[PeerID] {
	return func(yield func(PeerID) bool) {
		t.shelf.order.Reverse(func(at place[float64]) bool {
			return t.at(now, at.peer) > 0 && yield(at.peer)
		})
	}
}

// restore adds a number that was saved, decayed by the time since.
func (t *tally) restore(saved, now time.Time, name PeerID, number, most float64) {
	if !(number > 0) || math.IsInf(number, 1) {
		return
	}
	left := number * math.Exp2(-t.halfLives(max(0, now.Sub(saved))))
	t.set(now, name, min(most, left+t.at(now, name)))
}

func (t *tally) halfLives(d time.Duration) float64 { return float64(d) / float64(t.halfLife) }
