package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// gossipConfig sets up the plain push gossip of a node.
type gossipConfig struct {
	Mesh      int           // links it keeps in the mesh
	MeshMost  int           // links it lets into the mesh before it refuses
	Lazy      int           // links told of new content on each heartbeat
	Heartbeat time.Duration // between two heartbeats
	Windows   int           // heartbeats for which content is announced
	Held      int           // heartbeats for which content can be had
	Patience  time.Duration // for what was announced and asked for
	SeenFor   time.Duration
	MaxSeen   int // ids remembered
	MaxWants  int // ids waited for
	MaxIDs    int // ids in one announcement or request
}

// defaultGossip is GossipSub's default, but for a mesh as large as busy
// networks keep it.
func defaultGossip() gossipConfig {
	return gossipConfig{
		Mesh: 8, MeshMost: 12, Lazy: 6, Heartbeat: time.Second, Windows: 3, Held: 5,
		Patience: time.Second, SeenFor: 2 * time.Minute, MaxSeen: 1 << 16, MaxWants: 5000, MaxIDs: 5000,
	}
}

// Validate says everything that is wrong with c.
func (c gossipConfig) Validate() error {
	var errs []error
	atLeast := func(name string, got, want int) {
		if got < want {
			errs = append(errs, fmt.Errorf("%s is %d, want at least %d", name, got, want))
		}
	}
	atLeast("Mesh", c.Mesh, 1)
	atLeast("MeshMost", c.MeshMost, c.Mesh)
	atLeast("Lazy", c.Lazy, 0)
	atLeast("Windows", c.Windows, 1)
	atLeast("Held", c.Held, c.Windows)
	atLeast("MaxSeen", c.MaxSeen, 1)
	atLeast("MaxWants", c.MaxWants, 1)
	atLeast("MaxIDs", c.MaxIDs, 1)
	if c.Heartbeat <= 0 || c.Patience <= 0 || c.SeenFor <= 0 {
		errs = append(errs, fmt.Errorf("of Heartbeat, Patience and SeenFor, %v, %v and %v, one is not more than 0", c.Heartbeat, c.Patience, c.SeenFor))
	}
	return errors.Join(errs...)
}

// gossip is plain push gossip at one node: what is new is pushed to every link
// of the mesh but the one it came from; other links are told of it on the next
// heartbeats, and can ask. A part of a Machine; it judges nothing.
type gossip struct {
	cfg gossipConfig // constant
	rng *rand.Rand

	links   []int // in the order in which they came
	mesh    []int
	seen    seen
	windows [][]*Message // what was spread, by heartbeat, the current one first
	wants   map[ID]*want
	order   []ID // keys of wants, oldest first
}

// want is content that was announced and is not there yet.
type want struct {
	until time.Duration // then the next one is asked
	from  []int         // who announced it and was not asked yet
}

// maxAnnouncers bounds how many are remembered for one id.
const maxAnnouncers = 4

func newGossip(cfg gossipConfig, rng *rand.Rand) gossip {
	return gossip{
		cfg: cfg, rng: rng, seen: newSeen(cfg.SeenFor, cfg.MaxSeen),
		windows: make([][]*Message, cfg.Held), wants: make(map[ID]*want),
	}
}

func (g *gossip) linkUp(peer int) {
	if !slices.Contains(g.links, peer) {
		g.links = append(g.links, peer)
	}
}

func (g *gossip) linkDown(peer int) {
	gone := func(p int) bool { return p == peer }
	g.links = slices.DeleteFunc(g.links, gone)
	g.mesh = slices.DeleteFunc(g.mesh, gone)
}

// join asks links at random into the mesh until it would have so many.
func (g *gossip) join(upTo int, out []Action) []Action {
	if len(g.mesh) >= upTo || len(g.mesh) == len(g.links) {
		return out
	}
	for _, i := range g.rng.Perm(len(g.links)) {
		peer := g.links[i]
		if len(g.mesh) >= upTo {
			break
		}
		if !slices.Contains(g.mesh, peer) {
			g.mesh = append(g.mesh, peer)
			out = append(out, Action{Kind: Send, Peer: peer, Message: graftMessage})
		}
	}
	return out
}

func (g *gossip) grafted(peer int, out []Action) []Action {
	switch {
	case slices.Contains(g.mesh, peer) || !slices.Contains(g.links, peer):
	case len(g.mesh) >= g.cfg.MeshMost:
		out = append(out, Action{Kind: Send, Peer: peer, Message: pruneMessage})
	default:
		g.mesh = append(g.mesh, peer)
	}
	return out
}

func (g *gossip) pruned(peer int) {
	g.mesh = slices.DeleteFunc(g.mesh, func(p int) bool { return p == peer })
}

// isNew notes that content came; it is false for what came before.
func (g *gossip) isNew(now time.Duration, id ID) bool {
	if !g.seen.add(now, id) {
		return false
	}
	delete(g.wants, id) // its place in order is skipped when its turn comes
	return true
}

// spread passes on what is new and believed. From is who sent it, -1 for us.
func (g *gossip) spread(m *Message, from int, out []Action) []Action {
	g.seen.hold(m)
	g.windows[0] = append(g.windows[0], m)
	for _, peer := range g.mesh {
		if peer != from {
			out = append(out, Action{Kind: Send, Peer: peer, Message: m})
		}
	}
	return out
}

// announced asks for what is new here of what a peer says it has.
func (g *gossip) announced(now time.Duration, from int, ids []ID, out []Action) []Action {
	var ask []ID
	for _, id := range ids[:min(len(ids), g.cfg.MaxIDs)] {
		if g.seen.has(id) {
			continue
		}
		w := g.wants[id]
		switch {
		case w != nil && len(w.from) < maxAnnouncers && !slices.Contains(w.from, from):
			w.from = append(w.from, from)
		case w == nil && len(g.wants) < g.cfg.MaxWants:
			g.wants[id] = &want{until: now + g.cfg.Patience}
			g.order = append(g.order, id)
			ask = append(ask, id)
		}
	}
	if len(ask) > 0 {
		out = append(out, Action{Kind: Send, Peer: from, Message: listing(IWant, ask)})
	}
	return out
}

// asked sends what a peer asks for and we still hold.
func (g *gossip) asked(from int, ids []ID, out []Action) []Action {
	for _, id := range ids[:min(len(ids), g.cfg.MaxIDs)] {
		if m := g.seen.held[id]; m != nil && m != bad {
			out = append(out, Action{Kind: Send, Peer: from, Message: m})
		}
	}
	return out
}

// heartbeat mends the mesh, announces, asks again and forgets.
func (g *gossip) heartbeat(now time.Duration, out []Action) []Action {
	out = g.join(g.cfg.Mesh, out)
	out = g.announce(out)
	out = g.askAgain(now, out)
	last := len(g.windows) - 1
	for _, m := range g.windows[last] {
		g.seen.release(m)
	}
	oldest := g.windows[last]
	clear(oldest)
	copy(g.windows[1:], g.windows[:last])
	g.windows[0] = oldest[:0]
	g.seen.expire(now)
	return out
}

// announce tells some links of what came lately: links outside of the mesh
// first, since those in it had it pushed, unless it was lost.
func (g *gossip) announce(out []Action) []Action {
	var ids []ID
	for _, window := range g.windows[:g.cfg.Windows] {
		for _, m := range window {
			if len(ids) < g.cfg.MaxIDs {
				ids = append(ids, m.ID)
			}
		}
	}
	if len(ids) == 0 || g.cfg.Lazy == 0 {
		return out
	}
	var lazy, eager []int
	for _, i := range g.rng.Perm(len(g.links)) {
		if peer := g.links[i]; slices.Contains(g.mesh, peer) {
			eager = append(eager, peer)
		} else {
			lazy = append(lazy, peer)
		}
	}
	told := append(lazy, eager...)
	m := listing(IHave, ids)
	for _, peer := range told[:min(len(told), g.cfg.Lazy)] {
		out = append(out, Action{Kind: Send, Peer: peer, Message: m})
	}
	return out
}

// askAgain turns to the next announcer of what did not come in time. With
// nobody left the id is forgotten, and whoever announces it next is asked.
func (g *gossip) askAgain(now time.Duration, out []Action) []Action {
	kept := g.order[:0]
	for _, id := range g.order {
		w := g.wants[id]
		switch {
		case w == nil:
			continue
		case now < w.until:
		case len(w.from) == 0:
			delete(g.wants, id)
			continue
		default:
			next := w.from[0]
			w.from, w.until = w.from[1:], now+g.cfg.Patience
			out = append(out, Action{Kind: Send, Peer: next, Message: listing(IWant, []ID{id})})
		}
		kept = append(kept, id)
	}
	g.order = kept
	return out
}

// check says which bound is broken.
func (g *gossip) check() error {
	switch {
	case len(g.seen.held) > g.cfg.MaxSeen || len(g.seen.held) != len(g.seen.order):
		return fmt.Errorf("%d ids seen, %d in order, want the same and at most %d", len(g.seen.held), len(g.seen.order), g.cfg.MaxSeen)
	case len(g.wants) > g.cfg.MaxWants:
		return fmt.Errorf("%d ids wanted, want at most %d", len(g.wants), g.cfg.MaxWants)
	case len(g.mesh) > g.cfg.MeshMost || len(g.mesh) > len(g.links):
		return fmt.Errorf("a mesh of %d among %d links, want at most %d", len(g.mesh), len(g.links), g.cfg.MeshMost)
	}
	return nil
}
