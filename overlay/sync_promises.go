package overlay

import (
	"context"
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

// broke notes that a peer gave nothing of what it was asked for, and charges it if that counts.
// A line that carries nothing says nothing of the peer behind it.
func (s *syncer) broke(ctx context.Context, asked time.Time, p peer.ID) {
	if !alive(ctx, s.desk.host, p) || ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	_, here := s.told[p]
	counts := here && s.promises.broke(time.Now(), asked, p)
	s.mu.Unlock()
	if counts {
		s.court.judge(p, errUngiving)
	}
}
