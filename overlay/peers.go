package overlay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/wire"
)

// PeerInfo is what the overlay knows of a connected peer.
type PeerInfo struct {
	ID          peer.ID
	Addrs       []multiaddr.Multiaddr // of its connections, as seen from here
	Direction   network.Direction     // who opened the first connection
	Silence     time.Duration         // for which it has owed an answer to a question of membership; 0 if it owes none
	Why         string                // we dialled it: anchor, book, bootstrap, feeler, kept or operator; else empty
	Network     string                // the group of addresses it is in: an IPv4 /16 or IPv6 /32; empty if unknown
	Guest       bool                  // speaks no hello
	Hello       *wire.Hello           // nil for guests and until hello is done; read only
	RTT         time.Duration         // of hello with whom we dialled, of a ping with others; 0 if unknown
	Score       float64               // GossipSub's, the lower of the two instances'
	InTxMesh    bool
	InBlockMesh bool
	Since       time.Time
	Agent       string // as the peer says; escape before showing
}

// standing is how far a connected peer has come.
type standing uint8

const (
	unsettled standing = iota // hello is not done
	greeted                   // hello succeeded
	guest                     // speaks no hello
	refused                   // sent away
)

// errGone says that a peer was not or is no longer welcome.
var errGone = errors.New("overlay: the peer is gone or not welcome")

// head is what a peer says, or lets us conclude, of its best chain.
type head struct {
	height uint64
	id     wire.BlockID
}

// onBestChain says whether the best chain holds that block.
func onBestChain(c Chain, at head) bool {
	id, ok := c.BlockAt(at.height)
	return ok && id == at.id
}

// member is a connected peer. Its fields belong to the roster's mutex, but for the
// channels and budget.
type member struct {
	id      peer.ID
	budget  *budget       // safe for concurrent use
	settled chan struct{} // closed when standing first leaves unsettled
	gone    chan struct{} // closed when the last connection is
	poke    chan struct{} // told when more is known of the peer's protocols

	conns      []network.Conn // that it had when it was last met
	standing   standing
	direction  network.Direction
	since      time.Time
	opened     time.Time // the first connection was, by this machine's clock, whatever the shell's says
	hello      *wire.Hello
	agent      string
	rtt        time.Duration
	measured   bool   // or being so
	best       head   // what it says
	proven     uint64 // the height up to which a signed header of its bears that out
	txScore    float64
	blockScore float64
	// What the router counted when it last told, read only; nil before that.
	txCounts, blockCounts *pubsub.PeerScoreSnapshot
	why                   string // it was sent away
	returned              bool   // it was here before; constant
	anew                  bool   // it connected before we were told that its last connection had closed; constant
	leaving               bool   // it was, to make room

	ip                  netip.Addr // of the first connection; invalid if unknown
	useful, usefulBlock time.Time  // it was last the first to bring a good transaction, or block
}

// roster knows the connected peers. What it holds is bounded by the host's connections,
// and by maxRetired for the budgets of peers that left.
type roster struct {
	limits  Limits // constant
	network network.Network
	now     func() time.Time

	txLinks, blockLinks *links

	mu      sync.Mutex // guards what follows
	members map[peer.ID]*member
	retired map[peer.ID]*budget // so that reconnecting refills nothing
	leavers []peer.ID           // keys of retired, oldest first
	refused map[peer.ID]time.Time
	refusal []peer.ID // keys of refused, oldest first
}

// maxRetired bounds the budgets that are kept of peers that left.
const maxRetired = 1024

func newRoster(l Limits, n network.Network, now func() time.Time, tx, block *links) *roster {
	return &roster{
		limits: l, network: n, now: now, txLinks: tx, blockLinks: block,
		members: make(map[peer.ID]*member),
		retired: make(map[peer.ID]*budget),
		refused: make(map[peer.ID]time.Time),
	}
}

// join makes a member of a connected peer; fresh is false if it was one already. A peer
// without a connection gives nil. Who connects anew may be seen before the end of its last
// connection is told: what it was then is over, and what is left is what leave would return.
func (r *roster) join(p peer.ID) (m *member, fresh bool, left *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns := r.network.ConnsToPeer(p)
	old := r.members[p]
	if old != nil && (len(conns) == 0 || slices.ContainsFunc(conns, func(c network.Conn) bool { return slices.Contains(old.conns, c) })) {
		old.conns = conns
		return old, false, nil
	}
	if len(conns) == 0 {
		return nil, false, nil
	}
	if old != nil {
		was := r.retireLocked(old)
		left = &was
	}
	b, returned := r.retired[p]
	if returned {
		delete(r.retired, p)
		r.leavers = slices.DeleteFunc(r.leavers, func(q peer.ID) bool { return q == p })
	} else {
		b = newBudget(r.limits)
	}
	at, _ := addrPort(conns[0].RemoteMultiaddr())
	m = &member{
		id: p, budget: b, direction: conns[0].Stat().Direction, since: r.now(), opened: conns[0].Stat().Opened, ip: at.Addr(),
		settled: make(chan struct{}), gone: make(chan struct{}), poke: make(chan struct{}, 1),
		returned: returned, anew: old != nil, conns: conns,
	}
	r.members[p] = m
	return m, true, left
}

// leave forgets a peer whose last connection is closed. It returns what it was.
func (r *roster) leave(p peer.ID) (was member, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[p]
	if m == nil || len(r.network.ConnsToPeer(p)) > 0 {
		return member{}, false
	}
	return r.retireLocked(m), true
}

func (r *roster) retireLocked(m *member) (was member) {
	delete(r.members, m.id)
	close(m.gone)
	r.retired[m.id] = m.budget
	r.leavers = append(r.leavers, m.id)
	if len(r.leavers) > maxRetired {
		delete(r.retired, r.leavers[0])
		r.leavers = r.leavers[1:]
	}
	return *m
}

func (r *roster) get(p peer.ID) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[p]
}

// update changes a member under the lock, if it is still connected.
func (r *roster) update(p peer.ID, change func(m *member)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil {
		change(m)
	}
}

// settle gives a member its standing. A guest may still be greeted later, and anybody
// be refused; nobody comes back from that.
func (r *roster) settle(m *member, s standing) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.standing == s || m.standing == refused || m.standing == greeted && s == guest {
		return false
	}
	if m.standing == unsettled {
		close(m.settled)
	}
	m.standing = s
	return true
}

// greet records a successful hello.
func (r *roster) greet(m *member, h *wire.Hello, rtt time.Duration) (changed bool) {
	r.mu.Lock()
	m.hello, m.agent = h, h.Agent
	if rtt > 0 {
		m.rtt = rtt
	}
	if h.Height > m.best.height {
		m.best = head{h.Height, h.Head}
	}
	r.mu.Unlock()
	return r.settle(m, greeted)
}

// admit waits until a peer is settled and says whether it is welcome.
func (r *roster) admit(ctx context.Context, p peer.ID) error {
	m := r.get(p)
	if m == nil {
		return errGone
	}
	select {
	case <-m.settled:
	case <-m.gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
	if s := r.standing(p); s != greeted && s != guest {
		return fmt.Errorf("%w: %s", errGone, p)
	}
	return nil
}

func (r *roster) standing(p peer.ID) standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[p]; m != nil {
		return m.standing
	}
	return unsettled
}

// wasWelcome says whether a member got as far as to be greeted, or a guest.
func (r *roster) wasWelcome(m *member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.standing == greeted || m.standing == guest
}

// silent says whether a peer is connected and its hello not settled.
func (r *roster) silent(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[p]
	return m != nil && m.standing == unsettled
}

// count is the number of members of a standing.
func (r *roster) count(s standing) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, m := range r.members {
		if m.standing == s {
			n++
		}
	}
	return n
}

// dialled are the greeted peers that we dialled.
func (r *roster) dialled() map[peer.ID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[peer.ID]bool)
	for p, m := range r.members {
		if m.standing == greeted && m.direction == network.DirOutbound {
			out[p] = true
		}
	}
	return out
}

// ours says whether a peer is in one of our meshes, or is one that we dialled. Strangers cannot become
// many of these, as they can of those that dialled us.
func (r *roster) ours(p peer.ID) bool {
	if r.txLinks.has(p) || r.blockLinks.has(p) {
		return true
	}
	return r.snapshot(p).direction == network.DirOutbound
}

// raise notes that a peer sent a header that its producer signed, as the head of its chain.
func (r *roster) raise(p peer.ID, h head) {
	r.update(p, func(m *member) {
		m.proven = max(m.proven, h.height)
		if h.height > m.best.height {
			m.best = h
		}
	})
}

// claim notes where a peer that was greeted says that its chain ends.
func (r *roster) claim(p peer.ID, h head) {
	r.update(p, func(m *member) {
		if m.standing == greeted && h.height >= m.best.height {
			m.best = h
		}
	})
}

// prove notes that a peer has a block of a height that its producer signed.
func (r *roster) prove(p peer.ID, height uint64) {
	r.update(p, func(m *member) { m.proven = max(m.proven, height) })
}

// correct replaces what a peer claimed by what it answered.
func (r *roster) correct(p peer.ID, h head) {
	r.update(p, func(m *member) { m.best, m.proven = h, min(m.proven, h.height) })
}

// snapshot is a member as it is now; zero if it is gone.
func (r *roster) snapshot(p peer.ID) (m member) {
	r.update(p, func(now *member) { m = *now })
	return m
}

// unknownRTT stands for a round trip that was not measured.
const unknownRTT = 300 * time.Millisecond

// trip is the round trip to m, as far as that is known.
func (m *member) trip() time.Duration { return cmp.Or(m.rtt, unknownRTT) }

// heads lists the greeted peers, the highest head first, then the quickest.
func (r *roster) heads() []member {
	r.mu.Lock()
	list := make([]member, 0, len(r.members))
	for _, m := range r.members {
		if m.standing == greeted {
			list = append(list, *m)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.best.height, a.best.height), cmp.Compare(a.trip(), b.trip()), cmp.Compare(a.id, b.id))
	})
	return list
}

// bar remembers that a peer was refused.
func (r *roster) bar(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.refused[p]; !again {
		r.refusal = append(r.refusal, p)
		if len(r.refusal) > r.limits.MaxRefused {
			delete(r.refused, r.refusal[0])
			r.refusal = r.refusal[1:]
		}
	}
	r.refused[p] = r.now().Add(r.limits.RefusedFor)
}

// barredUntil says until when a refused peer is not to be dialled.
func (r *roster) barredUntil(p peer.ID) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.refused[p]
	return until, ok && r.now().Before(until)
}

// networkOf is the group of addresses from which a peer is connected, empty if that is
// unknown.
func (r *roster) networkOf(p peer.ID) string {
	for _, c := range r.network.ConnsToPeer(p) {
		if n := networkGroup(c.RemoteMultiaddr()); n != "" {
			return n
		}
	}
	return ""
}

// networkGroup is the network that an address belongs to, empty for one without an IP.
func networkGroup(a multiaddr.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return ""
	}
	addr, _ := netip.AddrFromSlice(ip)
	return groupOf(addr)
}

func groupOf(ip netip.Addr) string {
	if group := dial.GroupOf(ip); group.IsValid() {
		return group.String()
	}
	return ""
}

// info describes a member for the outside.
func (r *roster) info(m *member) PeerInfo {
	conns := r.network.ConnsToPeer(m.id)
	r.mu.Lock()
	defer r.mu.Unlock()
	out := PeerInfo{
		ID: m.id, Network: groupOf(m.ip), Direction: m.direction, Guest: m.standing == guest, Hello: m.hello, RTT: m.rtt,
		Score: min(m.txScore, m.blockScore), InTxMesh: r.txLinks.has(m.id), InBlockMesh: r.blockLinks.has(m.id),
		Since: m.since, Agent: m.agent,
	}
	for _, c := range conns {
		out.Addrs = append(out.Addrs, c.RemoteMultiaddr())
	}
	return out
}

// all lists the peers that are welcome, by id.
func (r *roster) all() []PeerInfo {
	r.mu.Lock()
	list := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		if m.standing == greeted || m.standing == guest {
			list = append(list, m)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b *member) int { return cmp.Compare(a.id, b.id) })
	out := make([]PeerInfo, len(list))
	for i, m := range list {
		out[i] = r.info(m)
	}
	return out
}
