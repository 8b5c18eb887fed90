package overlay

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// compactLinks bounds the peers that parts of blocks are exchanged with: as many as the machine
// takes, which is three times the peers of a public node. Each costs up to half a megabyte of
// frames that came too early, and some 600 KB of what it is known to have.
const compactLinks = compact.MaxLinks

// seekLinkEvery is how often a frame of a peer that is no link may have the links looked at: a
// peer that has just come is found, and one that is never a link costs its frames and no more.
const seekLinkEvery = 100 * time.Millisecond

// ServiceFrames, in the services of a hello, says that a peer takes frames of blocks on
// compact/1, and not only requests.
const ServiceFrames = 1 << 0

// compactor drives the machine that puts blocks together from parts and gives parts to
// peers. One goroutine, that of run, owns the machine and the links; others hand it events.
type compactor struct {
	cfg      Config // constant
	host     host.Host
	protocol protocol.ID
	log      *slog.Logger
	roster   *roster
	court    *court
	crew     *crew
	desk     *desk
	lane     *lane
	mesh     *links
	holders  *holders
	ctx      context.Context //nolint:containedctx // that of Run: events come from goroutines of others
	built    func(compact.Built)
	gaveUp   func(id wire.BlockID, why error)
	events   chan compactEvent

	machine *compact.Machine         // owned by run, as links
	links   map[peer.ID]*compactLink // to all that speak frames, in the machine or not
	sought  time.Time                // when a frame of a peer that is no link last had the links looked at
	debts   *debtBook

	mu       sync.Mutex // guards what follows
	incoming map[peer.ID]*exchange
}

// compactEvent is what happened, told to the machine by the goroutine that owns it.
type compactEvent func(now time.Time) []compact.Action

func newCompactor(ctx context.Context, o *Overlay) (*compactor, error) {
	c := &compactor{
		cfg: o.cfg, host: o.host, protocol: CompactProtocol(o.id), log: o.log, roster: o.roster, court: o.court, crew: o.crew,
		desk: o.desk, lane: o.lane, mesh: o.bkLinks, holders: o.holders, ctx: ctx,
		events: make(chan compactEvent), links: make(map[peer.ID]*compactLink), debts: newDebtBook(), incoming: make(map[peer.ID]*exchange),
	}
	return c, c.begin()
}

// begin makes a machine that knows no blocks and no links.
func (c *compactor) begin() (err error) {
	var seed [16]byte
	_, _ = crand.Read(seed[:]) // never fails
	rng := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])))
	pace := compact.DefaultConfig()
	pace.Links = compactLinks
	if c.machine, err = compact.New(pace, c.holders, rng); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	return nil
}

// run works until ctx ends.
func (c *compactor) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sampling := time.NewTicker(flightEvery)
	defer sampling.Stop()
	defer func() {
		for _, l := range c.links {
			l.cancel()
		}
	}()
	for {
		event := compactEvent(c.tick)
		select {
		case <-ctx.Done():
			return
		case event = <-c.events:
		case <-timer.C:
		case <-sampling.C:
			c.sampleFlights(time.Now())
			continue
		}
		c.step(event)
		if at, ok := c.machine.Next(); ok {
			timer.Reset(max(0, time.Until(at)))
		} else {
			timer.Stop()
		}
	}
}

func (c *compactor) tick(now time.Time) []compact.Action { return c.machine.Tick(now) }

// step lets one event happen. After a panic of ours nothing that the machine holds can be
// relied on: it begins anew, and the blocks under way come in another way.
func (c *compactor) step(event compactEvent) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("panic while putting a block together", "panic", r)
			for id, l := range c.links {
				l.cancel()
				delete(c.links, id)
			}
			_ = c.begin() // it did not fail before
			c.gaveUp(wire.BlockID{}, fmt.Errorf("%w: panic: %v", validation.Unavailable, r))
		}
	}()
	now := time.Now()
	c.carryOut(now, event(now))
}

// tell hands an event to the machine, unless Run is over.
func (c *compactor) tell(event compactEvent) bool {
	select {
	case c.events <- event:
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (c *compactor) carryOut(now time.Time, actions []compact.Action) {
	owed := false
	for _, a := range actions {
		switch a := a.(type) {
		case compact.Send:
			c.send(peer.ID(a.To), a.Frame)
		case compact.Built:
			c.built(a)
		case compact.Blame:
			c.court.judge(peer.ID(a.Link), fmt.Errorf("overlay: %w", a.Why))
		case compact.Missed:
			call3(c.cfg.Hooks.BlockLapse, a.Block, a.Link, a.What)
		case compact.Settled:
			c.settled(now, a)
			owed = true
		case compact.Accuse:
			c.log.Warn("a producer signed chunks of another body", "block", a.Header.ID(), "err", a.Why)
			call2(c.cfg.Hooks.BlockAccused, a.Header, a.Why)
		case compact.GaveUp:
			c.gaveUp(a.Block, a.Why)
		}
	}
	if owed {
		c.judgeDebts()
	}
}

func (c *compactor) send(p peer.ID, f compact.Frame) {
	l := c.links[p]
	if l == nil || !l.put(f) {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	l.cancel = cancel
	if !c.crew.spawn(func() { c.write(ctx, l) }) {
		cancel()
	}
}

// refresh makes the links of the machine those peers that speak frames. If there are too many,
// the mesh comes first, and then who is in: what is on its way on a link is worth more than
// the height that a peer claims. Others are only answered. header is the size of the compact
// block that is about to go out.
func (c *compactor) refresh(now time.Time, header int) (actions []compact.Action) {
	var wanted []member
	for _, m := range c.roster.heads() {
		if m.hello != nil && m.hello.Services&ServiceFrames != 0 {
			wanted = append(wanted, m)
		}
	}
	here := make(map[peer.ID]bool, len(wanted))
	for _, m := range wanted {
		here[m.id] = true
		if c.links[m.id] == nil {
			c.links[m.id] = &compactLink{peer: m.id, wake: make(chan struct{}, 1), cancel: func() {}}
		}
	}
	if len(wanted) > compactLinks {
		rank := func(m member) int {
			switch {
			case c.mesh.has(m.id):
				return 0
			case c.links[m.id].in:
				return 1
			}
			return 2
		}
		slices.SortStableFunc(wanted, func(a, b member) int { return rank(a) - rank(b) })
		wanted = wanted[:compactLinks]
	}
	stays := make(map[peer.ID]bool, len(wanted))
	for _, m := range wanted {
		stays[m.id] = true
	}
	c.holders.keep(stays)
	for id, l := range c.links {
		if !here[id] {
			l.cancel()
			delete(c.links, id)
		}
		if l.in && !stays[id] {
			l.in = false
			actions = append(actions, c.machine.DropLink(now, peerscore.PeerID(id))...)
		}
	}
	for _, m := range wanted {
		c.links[m.id].in = true
		rtt, window := c.line(m, c.links[m.id].flight, header)
		_ = c.machine.SetLink(compact.Link{ID: peerscore.PeerID(m.id), Mesh: c.mesh.has(m.id), RTT: rtt, Window: window}) // there is room
	}
	return actions
}

// changed has the links looked at again: a peer came or went.
func (c *compactor) changed() {
	c.crew.spawn(func() { c.tell(func(now time.Time) []compact.Action { return c.refresh(now, 0) }) })
}

// left forgets a peer.
func (c *compactor) left(p peer.ID) {
	c.holders.drop(p)
	c.changed()
}

// headerSize is about what a compact block of so many transactions takes.
func headerSize(txs int) int { return 512 + txs*len(wire.ShortID{}) }

// open puts a block together. linked is told, by the machine's goroutine, whether the peer
// that sent the header takes frames; where it does not, it has to be asked in the old way.
func (c *compactor) open(r *rebuild, known []validation.CheckedTx, linked func(bool)) bool {
	return c.tell(func(now time.Time) []compact.Action {
		actions := c.refresh(now, headerSize(len(r.ids)))
		actions = append(actions, c.machine.Open(now, peerscore.PeerID(r.from), r.header, r.ids, slices.Values(known))...)
		if !slices.ContainsFunc(actions, func(a compact.Action) bool {
			b, ok := a.(compact.Built)
			return ok && b.Block == r.header.ID()
		}) {
			l := c.links[r.from]
			linked(l != nil && l.in)
		}
		return actions
	})
}

// heard notes that a peer sent a header that is known.
func (c *compactor) heard(from peer.ID, id wire.BlockID) {
	c.crew.spawn(func() {
		c.tell(func(time.Time) []compact.Action {
			c.machine.Heard(peerscore.PeerID(from), id)
			return nil
		})
	})
}

// produce gives a block of our own to peers.
func (c *compactor) produce(b validation.CheckedBlock, coded *compact.Coded) {
	c.tell(func(now time.Time) []compact.Action {
		actions := c.refresh(now, headerSize(len(b.Txs())))
		return append(actions, c.machine.Produce(now, b, coded)...)
	})
}

// arrived says that a block came in another way.
func (c *compactor) arrived(id wire.BlockID, txs []*wire.Transaction) {
	c.tell(func(now time.Time) []compact.Action { return c.machine.Arrived(now, id, txs) })
}

// listen takes the frames of a peer, the first of which was read, until its stream ends. A
// peer has one such stream: the newest.
func (c *compactor) listen(ctx context.Context, x *exchange, raw []byte) error {
	p := x.peer()
	c.mu.Lock()
	if old := c.incoming[p]; old != nil {
		_ = old.Reset()
	}
	c.incoming[p] = x
	c.mu.Unlock()
	defer c.excuse(p)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.incoming[p] == x {
			delete(c.incoming, p)
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = x.Reset() })()
	m := c.roster.get(p)
	if m == nil {
		return errGone
	}
	for {
		if err := c.receive(ctx, m, raw); err != nil {
			return err
		}
		var err error
		if raw, err = c.read(ctx, m, x); err != nil {
			return err
		}
	}
}

func (c *compactor) receive(ctx context.Context, m *member, raw []byte) error {
	f, err := compact.Decode(raw)
	if err != nil {
		return fmt.Errorf("overlay: read a part of a block: %w", err)
	}
	call2(c.cfg.Hooks.CompactBytes, 0, len(raw))
	if err := m.budget.frames.Wait(ctx); err != nil {
		return err
	}
	if f != nil {
		c.tell(func(now time.Time) []compact.Action {
			actions := []compact.Action(nil)
			if c.links[m.id] == nil && now.Sub(c.sought) >= seekLinkEvery {
				c.sought = now
				actions = c.refresh(now, 0)
			}
			return append(actions, c.machine.Receive(now, peerscore.PeerID(m.id), f)...)
		})
	}
	return ctx.Err()
}

// read reads the next frame, however long the peer takes to begin it. What is over its
// budget of bytes is read later.
func (c *compactor) read(ctx context.Context, m *member, x *exchange) ([]byte, error) {
	_ = x.SetReadDeadline(x.end)
	if _, err := x.in.Peek(1); err != nil {
		return nil, err
	}
	n, err := readLength(x, x.in, compact.MaxFrame, c.cfg.Limits.FrameTime, func(n int) error {
		return waitFor(ctx, m.budget.blockBytes, n)
	})
	if err != nil {
		return nil, err
	}
	return readBody(x.in, nil, n)
}

// offenceForPart is for what a peer did in the exchange of parts of blocks.
func offenceForPart(f compact.Fault) (peerscore.Offence, bool) {
	switch f {
	case compact.Garbage:
		return peerscore.BadFrame, true
	case compact.WrongTx, compact.BadProof, compact.Unasked:
		return peerscore.LyingAnswer, true
	case compact.Greedy:
		return peerscore.BudgetBreach, true
	case compact.BadCoding:
		return 0, false // the producer's, not the peer's
	}
	return 0, false
}
