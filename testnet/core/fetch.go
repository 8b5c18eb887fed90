package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what a node remembers while it catches up. A partition may last as
// many blocks as may wait; what is dropped beyond comes with the next answer.
const (
	maxOrphans = 1024 // blocks whose parent is missing
	maxAsked   = 256  // blocks asked for
	maxTries   = 8    // peers asked for one block
	askAgainIn = 2 * time.Second
)

// fetch gets the blocks that are missing below those that came: it asks who
// sent a block for its parent, and somebody else if no answer comes. A part of
// a Machine.
type fetch struct {
	rng *rand.Rand

	orphans map[wire.BlockID]orphan
	waiting []wire.BlockID // keys of orphans, oldest first
	asked   map[wire.BlockID]*asked
	order   []wire.BlockID // keys of asked, oldest first
	next    uint64         // id of the next request
}

type orphan struct {
	kept
	from int
}

type asked struct {
	until time.Duration
	tries int
}

func newFetch(rng *rand.Rand) fetch {
	return fetch{rng: rng, orphans: make(map[wire.BlockID]orphan), asked: make(map[wire.BlockID]*asked)}
}

// want asks peer for a block, unless somebody was asked just now or it waits
// for its parent already.
func (f *fetch) want(now time.Duration, id wire.BlockID, peer int, out []Action) []Action {
	for o, ok := f.orphans[id]; ok; o, ok = f.orphans[id] {
		id = o.block.Header().Body().Parent // it is here, and waits for that one
	}
	if f.asked[id] != nil || len(f.asked) >= maxAsked {
		return out
	}
	f.asked[id] = &asked{until: now + askAgainIn, tries: 1}
	f.order = append(f.order, id)
	return f.ask(id, peer, out)
}

func (f *fetch) ask(id wire.BlockID, peer int, out []Action) []Action {
	f.next++
	q := wire.SyncRequest{ID: f.next, Blocks: []wire.BlockID{id}}
	return append(out, Action{Kind: Send, Peer: peer, Message: frame(Ask, q.AppendTo(nil))})
}

// tick asks others for what did not come.
func (f *fetch) tick(now time.Duration, links []int, out []Action) []Action {
	stay := f.order[:0]
	for _, id := range f.order {
		a := f.asked[id]
		switch {
		case now < a.until:
		case a.tries == maxTries || len(links) == 0:
			delete(f.asked, id)
			continue
		default:
			a.tries++
			a.until = now + askAgainIn
			out = f.ask(id, links[f.rng.IntN(len(links))], out)
		}
		stay = append(stay, id)
	}
	f.order = stay
	return out
}

// came notes that a block is there, whoever sent it.
func (f *fetch) came(id wire.BlockID) {
	if f.asked[id] == nil {
		return
	}
	delete(f.asked, id)
	f.order = slices.DeleteFunc(f.order, func(o wire.BlockID) bool { return o == id })
}

// keep lets a block wait for its parent, and asks for that.
func (f *fetch) keep(now time.Duration, k kept, from int, out []Action) []Action {
	id := k.block.ID()
	if _, ok := f.orphans[id]; !ok {
		if len(f.orphans) == maxOrphans {
			delete(f.orphans, f.waiting[0])
			f.waiting = f.waiting[1:]
		}
		f.orphans[id] = orphan{k, from}
		f.waiting = append(f.waiting, id)
	}
	return f.want(now, k.block.Header().Body().Parent, from, out)
}

// children takes out the blocks that waited for the given one.
func (f *fetch) children(parent wire.BlockID) []orphan {
	var found []orphan
	f.waiting = slices.DeleteFunc(f.waiting, func(id wire.BlockID) bool {
		o := f.orphans[id]
		if o.block.Header().Body().Parent != parent {
			return false
		}
		found = append(found, o)
		delete(f.orphans, id)
		return true
	})
	return found
}

// drop takes out what waits for a block that turned out bad, and what waits
// for that.
func (f *fetch) drop(bad wire.BlockID) {
	for _, o := range f.children(bad) {
		f.drop(o.block.ID())
	}
}

func (f *fetch) check() error {
	switch {
	case len(f.orphans) > maxOrphans || len(f.orphans) != len(f.waiting):
		return fmt.Errorf("%d blocks wait for parents, %d in order, want the same and at most %d", len(f.orphans), len(f.waiting), maxOrphans)
	case len(f.asked) > maxAsked:
		return fmt.Errorf("%d blocks asked for, want at most %d", len(f.asked), maxAsked)
	}
	return nil
}

// serve answers a request for blocks by id with those that are here.
func serve(q *wire.SyncRequest, blocks bodies, head ref, peer int, out []Action) []Action {
	for _, id := range q.Blocks {
		a := wire.SyncAnswer{ID: q.ID, Status: wire.StatusNotFound, HeadHeight: head.height, Head: head.id}
		if k, ok := blocks[id]; ok {
			a.Status, a.Block = wire.StatusOK, k.message.Data
		}
		out = append(out, Action{Kind: Send, Peer: peer, Message: frame(Answer, a.AppendTo(nil))})
	}
	return out
}

// ref is where a chain ends.
type ref struct {
	id     wire.BlockID
	height uint64
}

// faulty says whether err is the fault of who sent the message.
func faulty(err error) bool { return validation.Judge(err) == validation.Reject }
