package catchup

import (
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Added tells that a block is in the chain, by whichever way it came.
func (s *Scheduler) Added(block wire.BlockID) {
	if n := s.tree.nodes[block]; n != nil {
		s.uncharge(n)
		s.tree.finish(n)
	}
}

// Rejected tells that a block cannot be part of the chain. It and all that follow it are
// dropped. teller is who told its header as part of its own chain, if that is known; it
// rests for long.
func (s *Scheduler) Rejected(now time.Time, block wire.BlockID) (teller peerscore.PeerID) {
	s.bad.add(block)
	n := s.tree.nodes[block]
	if n == nil {
		return ""
	}
	s.tree.cut(n, s.gone)
	n.by.lied(now, s.cfg)
	return n.by.Peer
}

// Postponed tells that a block could not be added for a reason of our own. It is named
// again after a pause.
func (s *Scheduler) Postponed(now time.Time, block wire.BlockID) {
	if n := s.tree.nodes[block]; n != nil && n.state == named {
		s.tree.reopen(n, held)
	}
	s.paused = now.Add(s.cfg.Pause)
}

// gone takes back what a node that is dropped holds. What was asked for counts until the
// request is over.
func (s *Scheduler) gone(n *node) {
	if n.state != asked {
		s.uncharge(n)
	}
	if n.state == held || n.state == named {
		s.drops = append(s.drops, n.ID)
	}
}

func (s *Scheduler) charge(n *node) {
	if !n.charged {
		n.charged = true
		s.blocks++
		s.bytes += n.Size
	}
}

func (s *Scheduler) uncharge(n *node) {
	if n.charged {
		n.charged = false
		s.blocks--
		s.bytes -= n.Size
	}
}

// fits says whether a block is in the window, or has room there.
func (s *Scheduler) fits(n *node, blocks, bytes int) bool {
	return n.charged || s.blocks+blocks < s.cfg.WindowBlocks && s.bytes+bytes+n.Size <= s.cfg.WindowBytes
}

// badBlocks remembers blocks that cannot be part of the chain, the newest of them.
type badBlocks struct {
	ids   map[wire.BlockID]struct{}
	order []wire.BlockID
}

// maxBad bounds the blocks that are remembered as bad.
const maxBad = 1024

func (b *badBlocks) has(id wire.BlockID) bool {
	_, ok := b.ids[id]
	return ok
}

func (b *badBlocks) add(id wire.BlockID) {
	if b.ids == nil {
		b.ids = make(map[wire.BlockID]struct{})
	}
	if b.has(id) {
		return
	}
	if len(b.order) == maxBad {
		delete(b.ids, b.order[0])
		b.order = b.order[1:]
	}
	b.ids[id] = struct{}{}
	b.order = append(b.order, id)
}
