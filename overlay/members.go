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

	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// memberTick is how often the machine is told that time has passed.
	memberTick = 100 * time.Millisecond
	// memberLook is how often links and our own addresses are looked after.
	memberLook = time.Second
)

// members keeps the view of who is in the network: it carries what the machine of package
// member wants to say over a stream for each link, and hands it what comes.
type members struct {
	cfg    Config // constant
	id     wire.NetworkID
	host   host.Host
	log    *slog.Logger
	roster *roster
	court  *court
	crew   *crew
	desk   *desk // set by Run
	heard  func(from, who peer.ID, addrs []multiaddr.Multiaddr)

	sent, received atomic.Uint64 // bytes of frames
	unsent         atomic.Uint64 // frames, for a peer that does not read

	mu      sync.Mutex // guards what follows
	machine *swim.Machine
	links   map[peer.ID]*memberLink
	pauses  map[peer.ID]memberPause
	told    []multiaddr.Multiaddr // our addresses as last looked at
	leaving chan struct{}         // closed when we have said farewell
	left    bool
	work    sync.WaitGroup // of links; Add only with mu held and left false
}

// newMembers returns nil where there is to be no membership.
func newMembers(o *Overlay) (*members, error) {
	if !o.cfg.Members {
		return nil, nil //nolint:nilnil // switched off is no error
	}
	m := &members{
		cfg: o.cfg, id: o.id, host: o.host, log: o.log, roster: o.roster, court: o.court, crew: o.crew,
		heard: o.keeper.heard,
		links: make(map[peer.ID]*memberLink), pauses: make(map[peer.ID]memberPause), leaving: make(chan struct{}),
	}
	keys, err := newNotary(o.host.ID(), o.host.Peerstore().PrivKey(o.host.ID()), m.addrs)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	m.told = m.addrs()
	m.machine, err = swim.New(o.cfg.Swim, [32]byte(o.id), peerscore.PeerID(o.host.ID()), keys, signer{keys},
		rand.New(rand.NewChaCha8(seed)))
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return m, nil
}

func (m *members) addrs() []multiaddr.Multiaddr { return ownAddrs(m.host.Addrs()) }

// run keeps time until ctx ends.
func (m *members) run(ctx context.Context) {
	var looked time.Time
	every(ctx, memberTick, func() {
		if now := time.Now(); now.Sub(looked) >= memberLook {
			looked = now
			m.lookAfterLinks(ctx, now)
			m.lookAtAddrs()
		}
		m.step(swim.Tick{})
	})
}

// lookAtAddrs has our record made anew if it says something else than is so.
func (m *members) lookAtAddrs() {
	now := m.addrs()
	m.mu.Lock()
	same := slices.EqualFunc(m.told, now, multiaddr.Multiaddr.Equal)
	m.told = now
	m.mu.Unlock()
	if !same {
		m.step(swim.Moved{})
	}
}

// step feeds one event to the machine and does what it wants done.
func (m *members) step(ev swim.Event) {
	m.mu.Lock()
	news := m.stepLocked(ev)
	m.mu.Unlock()
	m.tell(news)
}

// stepLocked returns what is to be told without the lock.
func (m *members) stepLocked(ev swim.Event) (news []swim.Learned) {
	for _, a := range m.machine.Step(time.Now(), ev, nil) {
		switch a := a.(type) {
		case swim.Send:
			m.sendLocked(a)
		case swim.Changed:
			p := peer.ID(a.Peer)
			m.log.Debug("member changed", "member", p, "state", a.State)
			call2(m.cfg.Hooks.MemberChanged, p, a.State)
		case swim.Learned:
			news = append(news, a)
		case swim.Fault:
			if l := m.links[peer.ID(a.From)]; l != nil {
				l.cancel(a.Why) // whoever ends the link charges the peer
			}
		}
	}
	return news
}

func (m *members) sendLocked(a swim.Send) {
	l := m.links[peer.ID(a.To)]
	if l == nil {
		return
	}
	select {
	case l.out <- a.Frame:
	default:
		m.unsent.Add(1)
	}
}

// tell passes on what was learned.
func (m *members) tell(news []swim.Learned) {
	for _, a := range news {
		if r, err := readRecord(a.Record.Sealed); err == nil {
			m.heard(peer.ID(a.From), r.peer, r.known())
		}
	}
}
