package overlay

import (
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// syncDoubts is from which broken promise in a row on it counts that a peer gives nothing of
// its chain: a process that stands still for some seconds explains one or two.
const syncDoubts = 3

// errUngiving says that a peer claims a chain and gives nothing of it, again and again, while
// others answer.
var errUngiving = errors.New("overlay: claims a chain and gives nothing of it, while others answer")

// promises counts, of the peers that are connected, who claims a chain and gives nothing of
// it: not a byte of an answer in time, or no header where it says that its chain has one.
type promises struct {
	answers int // of all peers
	broken  map[peer.ID]unkept
}

// unkept is a row of broken promises.
type unkept struct {
	times int
	since int       // promises.answers when the row began
	last  time.Time // when the last of them was broken
}

func newPromises() *promises { return &promises{broken: make(map[peer.ID]unkept)} }

// answered notes that a peer answers. Our line is not to blame then for who does not.
func (p *promises) answered(id peer.ID) {
	p.answers++
	p.forget(id)
}

func (p *promises) forget(id peer.ID) { delete(p.broken, id) }

// broke notes that a peer gave nothing, when it was asked at a given time, and says whether that
// counts. What was asked for at the same time is one promise.
func (p *promises) broke(now, asked time.Time, id peer.ID) bool {
	row, ok := p.broken[id]
	switch {
	case !ok:
		row.since = p.answers
	case asked.Before(row.last):
		return false
	}
	row.times++
	row.last = now
	p.broken[id] = row
	return row.times >= syncDoubts && p.answers > row.since
}

// brokeLocked notes that a peer did not give what it was asked for, and has it charged if
// that counts.
func (s *syncer) brokeLocked(asked time.Time, p peer.ID) {
	if _, here := s.told[p]; here && s.promises.broke(time.Now(), asked, p) {
		s.crew.spawn(func() { s.court.judge(p, errUngiving) })
	}
}
