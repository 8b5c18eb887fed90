package overlay

import (
	"sync"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// promptPause is how long announcements are gathered: routers listen to ten a heartbeat,
	// and this leaves room for three of their own sort.
	promptPause = 100 * time.Millisecond
	// promptIDs may be announced so ahead of one in promptGap: enough for peers to find out that
	// they lack something, and to look after themselves from then on (hunger). The rest waits
	// for the heartbeat: to announce all at once cost half as much again as everything else.
	promptIDs = 16
	promptGap = 10 * time.Second
)

// prompt announces transactions at once to peers outside the mesh. At the heartbeat the
// router tells a quarter of them, and a peer that only Sybils dialled, or that few know,
// waits for several of these. It is safe for concurrent use.
type prompt struct {
	network   wire.NetworkID // constant, as what follows
	topic     string
	roster    *roster
	links     *links
	sentry    *sentry
	inventory *inventory
	outflow   *outflow
	crew      *crew
	pace      *rate.Limiter // ids

	mu      sync.Mutex // guards what follows
	waiting []string
}

func newPrompt(o *Overlay) *prompt {
	return &prompt{
		network: o.id, topic: TxTopic(o.id), roster: o.roster, links: o.txLinks, sentry: o.sentry, inventory: o.inventory,
		outflow: o.txs.outflow, crew: o.crew, pace: rate.NewLimiter(rate.Every(promptGap), promptIDs),
	}
}

// note has a message announced after promptPause.
func (p *prompt) note(raw []byte) {
	if !p.pace.Allow() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, MessageID(p.network, p.topic, raw))
	if len(p.waiting) == 1 {
		time.AfterFunc(promptPause, func() { p.crew.spawn(p.tell) })
	}
}

// tell announces what waits.
func (p *prompt) tell() {
	p.mu.Lock()
	ids := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	now := time.Now()
	for _, s := range p.sentry.streamsTo(p.audience()) {
		frame := p.frame(now, s.to, ids)
		if frame == nil {
			continue
		}
		p.outflow.queued(s.to)
		if !p.crew.spawn(func() { s.push(frame) }) {
			p.outflow.written(s.to)
		}
	}
}

// audience are the peers outside the mesh that read what they are sent.
func (p *prompt) audience() (peers []peer.ID) {
	for _, m := range p.roster.heads() {
		if !p.links.has(m.id) && m.txScore >= 0 && p.outflow.depth(m.id) < fullLine {
			peers = append(peers, m.id)
		}
	}
	return peers
}

// frame announces to a peer what it is not known to have; nil if that is nothing.
func (p *prompt) frame(now time.Time, to peer.ID, ids []string) []byte {
	news := p.inventory.news(now, to, ids)
	if len(news) == 0 {
		return nil
	}
	body, err := proto.Marshal(&pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &p.topic, MessageIDs: news}}}})
	if err != nil {
		return nil // the router encodes the same
	}
	return frameOf(body)
}
