package overlay

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// dialTick is how often the keeper decides whom to dial.
const dialTick = 250 * time.Millisecond

// keeper finds and keeps peers: it carries out what a dial.Keeper decides, and tells it
// what became of that.
type keeper struct {
	cfg     Dial // constant
	network wire.NetworkID
	seeds   []peer.AddrInfo      // the bootstrap peers
	kept    map[peer.ID]struct{} // for ever, by name of the operator
	host    host.Host
	roster  *roster
	banned  func(peer.ID) bool
	drop    func(peer.ID) // told of a peer that is about to be sent away
	crew    *crew
	patient time.Duration // with a hello
	log     *slog.Logger

	meet     func(peer.ID) *member // takes note of a connected peer; set by Run
	evicted  atomic.Uint64
	failures atomic.Uint64 // of bootstrap peers, since one was reached

	mu   sync.Mutex // guards what follows
	core *dial.Keeper
}

func newKeeper(o *Overlay) (*keeper, error) {
	cfg := o.cfg.Dial
	k := &keeper{
		cfg: cfg, network: o.id, host: o.host, roster: o.roster, banned: o.court.isBanned, crew: o.crew,
		drop:    func(p peer.ID) { o.members.drop(p) },
		patient: o.cfg.Limits.HelloTimeout, log: o.log, kept: make(map[peer.ID]struct{}),
	}
	for _, info := range o.persistent() {
		k.kept[info.ID] = struct{}{}
	}
	var known []dial.Address
	for _, info := range o.cfg.Bootstrap {
		if info.ID != o.host.ID() {
			k.seeds = append(k.seeds, info)
			known = append(known, k.addressesOf(info.ID, info.Addrs)...)
		}
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	rng := rand.New(rand.NewChaCha8(seed))
	var err error
	if len(cfg.Saved) > 0 {
		k.core, err = dial.Restore(cfg.Config, cfg.Saved, known, rng)
	} else {
		var key dial.Key
		_, _ = crand.Read(key[:])
		k.core, err = dial.New(cfg.Config, key, known, rng)
	}
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return k, nil
}

// persistent are the peers that are kept connected for ever.
func (o *Overlay) persistent() []peer.AddrInfo {
	list := o.cfg.Dial.Keep
	if o.cfg.Dial.Outbound == 0 {
		list = append(list[:len(list):len(list)], o.cfg.Bootstrap...)
	}
	return list
}

// run dials until ctx ends.
func (k *keeper) run(ctx context.Context) {
	if k.cfg.Outbound == 0 {
		return
	}
	turn := func() {
		k.mu.Lock()
		dials := k.core.Tick(time.Now(), nil)
		k.mu.Unlock()
		for _, d := range dials {
			k.crew.spawn(func() { k.carryOut(ctx, d) })
		}
	}
	turn()
	every(ctx, dialTick, turn)
}

// joined notes a peer that said hello. If we are dialling it, carryOut says what it is.
func (k *keeper) joined(m *member) {
	at, ok := seenAt(k.host.Network(), m.id)
	if !ok {
		return
	}
	k.mu.Lock()
	if k.core.Pending(peerscore.PeerID(m.id)) != 0 || isClosed(m.gone) {
		k.mu.Unlock()
		return
	}
	k.core.Accepted(time.Now(), peerscore.PeerID(m.id), at)
	k.mu.Unlock()
	k.identified(m.id)
}

// gone notes that a peer's last connection is closed, and member.gone with it.
func (k *keeper) gone(p peer.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.core.Gone(time.Now(), peerscore.PeerID(p))
}

// identified takes note of what a peer told by identify of its own addresses.
func (k *keeper) identified(p peer.ID) {
	addrs := k.host.Peerstore().Addrs(p)
	k.heard(p, p, addrs[:min(len(addrs), dial.MaxPerPeer)])
}

// heard takes note of addresses of who, told by the connected peer from. How many one peer
// may tell is bounded, and so is what they may lead to.
func (k *keeper) heard(from, who peer.ID, addrs []multiaddr.Multiaddr) {
	if who == k.host.ID() {
		return
	}
	told := k.told(who, addrs)
	if len(told) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.core.Learn(time.Now(), peerscore.PeerID(from), told)
}

// told is what of addrs may be an address of p on a stranger's word.
func (k *keeper) told(p peer.ID, addrs []multiaddr.Multiaddr) []dial.Address {
	return k.notOurs(k.addressesOf(p, slices.DeleteFunc(slices.Clone(addrs), mapped)))
}

// notOurs leaves out of list what leads to this node, whosever address it is said to be.
func (k *keeper) notOurs(list []dial.Address) []dial.Address {
	ours := k.addressesOf(k.host.ID(), k.host.Addrs())
	return slices.DeleteFunc(list, func(a dial.Address) bool {
		return slices.ContainsFunc(ours, func(o dial.Address) bool { return o.At == a.At && o.Over == a.Over })
	})
}

func (k *keeper) addressesOf(p peer.ID, addrs []multiaddr.Multiaddr) (out []dial.Address) {
	for _, a := range addrs {
		if got, ok := addressOf(p, a); ok {
			out = append(out, got)
		}
	}
	return out
}

// The reasons of links that the keeper did not choose.
const (
	whyKept     = "kept"     // by name of the operator, for ever
	whyOperator = "operator" // dialled at the operator's wish, once
)

// trusts says that a peer was named by the operator, or serves us as an anchor.
func (k *keeper) trusts(p peer.ID) bool {
	if _, kept := k.kept[p]; kept {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.core.Serves(time.Now(), peerscore.PeerID(p))
}

// why says why we dialled a connected peer, empty if it dialled us.
func (k *keeper) why(p peer.ID, outbound bool) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	why := k.core.Why(peerscore.PeerID(p))
	if why == 0 && outbound {
		why = k.core.Pending(peerscore.PeerID(p)) // not kept yet, or only tested
	}
	_, kept := k.kept[p]
	switch {
	case why != 0:
		return why.String()
	case kept:
		return whyKept
	case outbound:
		return whyOperator
	}
	return ""
}

// BookStatus is what there is in the address book, and what became of it.
type BookStatus struct {
	New      int    // addresses that others told of
	Tried    int    // addresses that answered
	Anchors  int    // peers to be dialled first after a restart
	Outbound int    // links that were chosen from it
	Evicted  uint64 // inbound peers that had to make room for others, since the start
}

// Book sums up the address book.
func (o *Overlay) Book() BookStatus {
	k := o.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	s := BookStatus{Anchors: len(k.core.Anchors()), Outbound: k.core.Outbound(), Evicted: k.evicted.Load()}
	s.New, s.Tried = k.core.Book().Len()
	return s
}

// SaveBook is what should outlive the process of the address book: the addresses, the
// anchors and the secret key. It is at most dial.MaxState bytes.
func (o *Overlay) SaveBook() []byte {
	k := o.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.core.AppendTo(time.Now(), nil)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
