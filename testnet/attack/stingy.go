package attack

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// stingy passes on the headers of blocks at once and says that it has the bodies, and keeps
// back what it is then asked for.
type stingy struct {
	honest
	parts
	gives string
	kept  map[wire.BlockID]map[int]*compact.Chunk // chunks that it gives
	said  []*compact.Have                         // what it says to be on its way, of the last blocks
	order []wire.BlockID                          // keys of kept, oldest first
}

// blocksKept is how many blocks' chunks it has at once.
const blocksKept = 4

func newStingy(p *params) rule {
	return &stingy{
		kept:  make(map[wire.BlockID]map[int]*compact.Chunk),
		gives: p.word("gives", "what of a body that it is asked for", "nothing", "some", "promises", "coming", "empty"),
	}
}

func (s *stingy) message(n *node, m *message) {
	n.forward(m)
	c := blockIn(n, m)
	if c == nil {
		return
	}
	id := c.Header.ID()
	if layout, ok := compact.LayoutOf(c.Header.Body()); ok && s.gives == "coming" {
		f := &compact.Have{Block: id, Coming: true}
		for i := range layout.Total() {
			f.Chunks.Set(i)
		}
		if s.said = append(s.said, f); len(s.said) > blocksKept {
			s.said = s.said[1:]
		}
		return
	}
	if s.gives != "some" {
		s.tell(n, &compact.Have{Block: id, Whole: true})
		return
	}
	if s.order = append(s.order, id); len(s.order) > blocksKept {
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
	s.kept[id] = make(map[int]*compact.Chunk)
	if !c.Header.Body().ChunkRoot.IsZero() {
		s.tell(n, &compact.Have{Block: id, Seeking: true})
	}
}

// beat says again what is on its way, and never comes.
func (s *stingy) beat(n *node, _ time.Time) {
	if !n.attacking() {
		return
	}
	for _, f := range s.said {
		s.tell(n, f)
	}
}

func (s *stingy) frame(n *node, from peer.ID, f compact.Frame) {
	switch f := f.(type) {
	case *compact.Ask:
		switch s.gives {
		case "promises":
			s.send(n, from, &compact.Fill{Block: f.Block, ID: f.ID, More: true})
		case "empty": // at once, so that nobody waits, and it may be asked again
			s.send(n, from, &compact.Fill{Block: f.Block, ID: f.ID})
			s.send(n, from, &compact.Have{Block: f.Block, Whole: true})
		}
	case *compact.Chunk:
		s.keep(n, f)
	case *compact.Want:
		for i := range compact.MaxChunks {
			if c := s.kept[f.Block][i]; c != nil && f.Chunks.Has(i) {
				s.send(n, from, &compact.Chunk{Block: c.Block, Index: i, Data: c.Data, Proof: c.Proof})
			}
		}
	}
}

// keep takes the chunks with even numbers, and with the first of them says to have all.
func (s *stingy) keep(n *node, c *compact.Chunk) {
	of := s.kept[c.Block]
	if of == nil || c.Index%2 != 0 {
		return
	}
	if len(of) == 0 {
		s.tell(n, &compact.Have{Block: c.Block, Whole: true})
	}
	of[c.Index] = &compact.Chunk{Block: c.Block, Index: c.Index, Data: slices.Clone(c.Data), Proof: c.Proof}
}
