package core

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// common is what all nodes share, and none changes.
type common struct {
	genesis *wire.Genesis
	id      wire.NetworkID
	judge   *judge
	tuning  gossipConfig
	limits  mempool.Config
	epoch   time.Time // when the run starts, for clocks and headers; whole milliseconds
	blocks  bool      // there will be some
	fill    func(slot uint64) ([]validation.CheckedTx, error)
}

// clock is what a node's clock says.
func (c *common) clock(now time.Duration) time.Time { return c.epoch.Add(now) }

// The timers of a node.
const (
	joinTimer Timer = iota + 1
	heartbeatTimer
	slotTimer
)

// node is the honest machine: gossip, chain and catching up put together. It
// implements Machine.
type node struct {
	*common
	rng  *rand.Rand
	duty *duty // nil for one that produces no blocks

	gossip  gossip
	fetch   fetch
	state   *chain
	joining bool // the join timer runs
}

func newNode(c *common, rng *rand.Rand, d *duty) (*node, error) {
	state, err := newChain(c.genesis, c.limits)
	if err != nil {
		return nil, err
	}
	return &node{common: c, rng: rng, duty: d, state: state}, nil
}

// Step implements Machine.
func (n *node) Step(now time.Duration, ev Event, out []Action) []Action {
	switch ev.Kind {
	case Started:
		return n.start(now, out)
	case LinkUp:
		return n.linkUp(now, ev.Peer, out)
	case LinkDown:
		n.gossip.linkDown(ev.Peer)
	case Submitted:
		return n.submitted(now, ev.Message, out)
	case Received:
		return n.received(now, ev.Peer, ev.Message, out)
	case Fired:
		return n.fired(now, ev.Timer, out)
	}
	return out
}

// Check implements Machine.
func (n *node) Check() error {
	if err := n.gossip.check(); err != nil {
		return err
	}
	if err := n.fetch.check(); err != nil {
		return err
	}
	return checkPool(n.state.pool, n.limits)
}

func (n *node) start(now time.Duration, out []Action) []Action {
	n.gossip = newGossip(n.tuning, n.rng)
	n.fetch = newFetch(n.rng)
	n.joining = false
	if err := n.state.restart(); err != nil {
		return append(out, Action{Kind: Broken, Err: err})
	}
	first := now + time.Duration(n.rng.Int64N(int64(n.tuning.Heartbeat)))
	out = append(out, Action{Kind: SetTimer, Timer: heartbeatTimer, At: first})
	return n.awaitSlot(now, out)
}

// linkUp greets the peer, and joins the mesh once the links that come up
// together are there to choose from.
func (n *node) linkUp(now time.Duration, peer int, out []Action) []Action {
	n.gossip.linkUp(peer)
	if !n.joining {
		n.joining = true
		out = append(out, Action{Kind: SetTimer, Timer: joinTimer, At: now + time.Millisecond})
	}
	if n.blocks {
		out = append(out, Action{Kind: Send, Peer: peer, Message: n.status(now)})
	}
	return out
}

func (n *node) fired(now time.Duration, t Timer, out []Action) []Action {
	switch t {
	case joinTimer:
		n.joining = false
		// Half of the mesh: the other half asks us.
		return n.gossip.join((n.tuning.Mesh+1)/2, out)
	case heartbeatTimer:
		return n.heartbeat(now, out)
	case slotTimer:
		return n.awaitSlot(now+time.Millisecond, n.produce(now, out))
	}
	return out
}

func (n *node) heartbeat(now time.Duration, out []Action) []Action {
	out = n.gossip.heartbeat(now, out)
	n.state.pool.Expire(n.clock(now))
	if n.blocks {
		out = n.fetch.tick(now, n.gossip.links, out)
		if k := len(n.gossip.links); k > 0 { // what a lost message would have told
			out = append(out, Action{Kind: Send, Peer: n.gossip.links[n.rng.IntN(k)], Message: n.status(now)})
		}
	}
	return append(out, Action{Kind: SetTimer, Timer: heartbeatTimer, At: now + n.tuning.Heartbeat})
}

// chained is a machine whose chain a report tells of.
type chained interface{ chainState() *chain }

func (n *node) chainState() *chain { return n.state }

func (n *node) head() ref {
	h := n.state.ledger.Head()
	return ref{h.ID, h.Height}
}

func (n *node) status(now time.Duration) *Message {
	head := n.head()
	hello := wire.Hello{
		Network: n.id, NetworkName: n.genesis.Network, Protocol: 1,
		Head: head.id, Height: head.height, Clock: validation.UnixMillis(n.clock(now)),
	}
	return frame(Status, hello.AppendTo(nil))
}

func (n *node) submitted(now time.Duration, m *Message, out []Action) []Action {
	tx, err := n.judge.tx(m)
	if err == nil {
		err = n.state.addTx(n.clock(now), tx, mempool.Own)
	}
	if err != nil {
		return append(out, Action{Kind: Refused, Message: m, Err: err})
	}
	n.gossip.isNew(now, m.ID)
	return n.gossip.spread(m, -1, append(out, Action{Kind: Made, Message: m}))
}

func (n *node) received(now time.Duration, from int, m *Message, out []Action) []Action {
	switch m.Kind {
	case Tx, Block:
		return n.content(now, from, m, out)
	case IHave:
		return n.gossip.announced(now, from, m.IDs, out)
	case IWant:
		return n.gossip.asked(from, m.IDs, out)
	case Graft:
		return n.gossip.grafted(from, out)
	case Prune:
		n.gossip.pruned(from)
	case Status:
		return n.hello(now, from, m, out)
	case Ask:
		q, err := wire.DecodeSyncRequest(m.Data)
		if err != nil {
			return append(out, Action{Kind: Close, Peer: from, Err: err})
		}
		return serve(q, n.state.blocks, n.head(), from, out)
	case Answer:
		return n.answer(now, from, m, out)
	}
	return out
}

// content takes what was pushed. Bad content is judged once, and costs everybody
// who sends it the link.
func (n *node) content(now time.Duration, from int, m *Message, out []Action) []Action {
	switch {
	case !n.gossip.isNew(now, m.ID):
		if n.gossip.seen.isBad(m.ID) {
			return append(out, Action{Kind: Close, Peer: from, Err: errKnownBad})
		}
		return out
	case m.Kind == Block:
		return n.block(now, from, m, validation.Gossip, out)
	}
	return n.tx(now, from, m, out)
}

var errKnownBad = errors.New("content that was found bad before")

// blame closes the link to who sent what proves a fault, and remembers that.
func (n *node) blame(from int, m *Message, err error, out []Action) []Action {
	n.gossip.seen.condemn(m.ID)
	return append(out, Action{Kind: Close, Peer: from, Err: err})
}

func (n *node) tx(now time.Duration, from int, m *Message, out []Action) []Action {
	tx, err := n.judge.tx(m)
	switch {
	case faulty(err):
		return n.blame(from, m, err, out)
	case err != nil:
		return out
	}
	out = append(out, Action{Kind: Learned, Message: m})
	if n.state.addTx(n.clock(now), tx, mempool.Source(strconv.Itoa(from))) == nil {
		out = n.gossip.spread(m, from, out)
	}
	return out
}

func (n *node) hello(now time.Duration, from int, m *Message, out []Action) []Action {
	h, err := wire.DecodeHello(m.Data)
	if err == nil && h.Network != n.id {
		err = validation.WrongNetwork
	}
	switch {
	case err != nil:
		return append(out, Action{Kind: Close, Peer: from, Err: err})
	case h.Height == 0 || n.holds(h.Head) || h.Height <= n.state.ledger.Final().Height:
		return out
	}
	return n.fetch.want(now, h.Head, from, out)
}

// holds says whether a block is part of this node's tree, or below it.
func (n *node) holds(id wire.BlockID) bool {
	_, ok := n.state.blocks[id]
	return ok || n.state.ledger.Has(id)
}

func (n *node) answer(now time.Duration, from int, m *Message, out []Action) []Action {
	a, err := wire.DecodeSyncAnswer(m.Data)
	if err != nil {
		return append(out, Action{Kind: Close, Peer: from, Err: err})
	}
	if a.Status != wire.StatusOK {
		return out // the next tick asks somebody else
	}
	block := content(n.id, Block, a.Block)
	if b, err := n.judge.block(block); err == nil && n.fetch.asked[b.ID()] == nil {
		return out // nobody asked, or no longer
	}
	n.gossip.isNew(now, block.ID)
	return n.block(now, from, block, validation.Sync, out)
}

// block judges a block that came, and puts it where it belongs.
func (n *node) block(now time.Duration, from int, m *Message, road validation.Road, out []Action) []Action {
	b, err := n.judge.block(m)
	switch {
	case faulty(err):
		return n.blame(from, m, err, out)
	case err != nil:
		return out
	}
	before := n.head()
	out = n.place(now, kept{b, m}, from, road, out)
	if road == validation.Sync && n.head() != before {
		for _, peer := range n.gossip.links { // it did not come by gossip, so others may lack it too
			out = append(out, Action{Kind: Send, Peer: peer, Message: n.status(now)})
		}
	}
	return out
}

// place gives a block to the chain, with those that waited for it, or lets it
// wait for its parent.
func (n *node) place(now time.Duration, k kept, from int, road validation.Road, out []Action) []Action {
	id := k.block.ID()
	n.fetch.came(id)
	if n.holds(id) {
		return out
	}
	err := n.state.checkHeader(n.clock(now), k.block, road)
	switch {
	case errors.Is(err, validation.UnknownParent):
		return n.fetch.keep(now, k, from, out)
	case faulty(err):
		n.fetch.drop(id)
		return n.blame(from, k.message, err, out)
	case err != nil:
		return out
	}
	first, _ := n.state.ledger.Observe(k.block.Header())
	broken, err := n.state.addBlock(n.clock(now), k.block, k.message)
	switch {
	case broken != nil:
		return append(out, Action{Kind: Broken, Err: broken})
	case err != nil: // the producer's fault, or nobody's
		n.fetch.drop(id)
		return out
	}
	out = append(out, Action{Kind: Learned, Message: k.message})
	if road == validation.Gossip && first {
		out = n.gossip.spread(k.message, from, out)
	}
	for _, child := range n.fetch.children(id) {
		out = n.place(now, child.kept, child.from, validation.Sync, out)
	}
	return out
}
