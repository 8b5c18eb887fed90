package overlay

import (
	"math/rand/v2"
	"slices"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
)

const (
	// reserveMemory is how long a peer is remembered for having brought something new.
	reserveMemory = time.Minute
	// reserveCopies are sent in a second at the most, in all: a node that publishes much
	// where nobody else does is given nothing, and is not to spend its uplink on that.
	reserveCopies = 200
)

// reserve passes transactions on beside the mesh while too few of its peers give us
// anything. They may be Sybils that pass on nothing: to find that out takes seconds, and
// until then announcements at the heartbeat would be all that leaves this node. It is safe
// for concurrent use.
type reserve struct {
	topic   string // constant, as all
	want    int    // peers of the mesh that must give us something
	roster  *roster
	links   *links
	sentry  *sentry
	outflow *outflow
	crew    *crew
	pace    *rate.Limiter // copies
	prompt  *prompt
	sent    func(to peer.ID, raw []byte)
}

func newReserve(o *Overlay) *reserve {
	return &reserve{
		topic: TxTopic(o.id), want: o.cfg.Gossip.Reserve, roster: o.roster, links: o.txLinks, sentry: o.sentry,
		outflow: o.txs.outflow, crew: o.crew, pace: rate.NewLimiter(reserveCopies, reserveCopies), prompt: newPrompt(o), sent: o.txSent,
	}
}

// spares are peers outside the mesh, by what speaks for them.
type spares struct {
	dialled []peer.ID // nobody else chose them
	useful  []peer.ID // dialled us, and brought something new of late
}

// pass sends a message that proved good, ours or another's, to peers outside the mesh. It is
// short, for it runs in the router's loop. A large one takes the usual ways only: IDONTWANT
// keeps down its copies in the mesh, and comes too late for these.
func (r *reserve) pass(raw []byte) {
	lacking := r.want - r.sentry.giving()
	if lacking <= 0 || r.outflow.jammed(r.links) {
		return
	}
	r.prompt.note(raw)
	if len(raw) >= sentryLargest {
		return
	}
	to := r.sentry.streamsTo(r.spares(r.sentry.givers(raw)).draw(lacking))
	if len(to) == 0 || !r.pace.AllowN(time.Now(), len(to)) {
		return
	}
	body, err := proto.Marshal(&pb.RPC{Publish: []*pb.Message{{Topic: &r.topic, Data: raw}}})
	if err != nil {
		return // the router encodes the same
	}
	frame := frameOf(body)
	for _, s := range to {
		r.outflow.queued(s.to)
		r.sent(s.to, raw)
		if !r.crew.spawn(func() { s.push(frame) }) {
			r.outflow.written(s.to)
		}
	}
}

// reaches says whether one of these peers is in reserve.
func (r *reserve) reaches(on []peer.ID) bool {
	if r.want == 0 {
		return false
	}
	s := r.spares(nil)
	in := func(p peer.ID) bool { return slices.Contains(on, p) }
	return slices.ContainsFunc(s.dialled, in) || slices.ContainsFunc(s.useful, in)
}

// spares lists who may be sent a message that some have, of those that read what they are
// sent.
func (r *reserve) spares(have []peer.ID) (s spares) {
	now := r.roster.now()
	for _, m := range r.roster.heads() {
		switch {
		case r.links.has(m.id), slices.Contains(have, m.id), m.txScore < 0, r.outflow.depth(m.id) >= fullLine:
		case m.direction == network.DirOutbound:
			s.dialled = append(s.dialled, m.id)
		case !m.useful.IsZero() && now.Sub(m.useful) < reserveMemory:
			s.useful = append(s.useful, m.id)
		}
	}
	return s
}

// draw takes n by chance, half of them of each kind if there are so many: whoever surrounds
// us can be useful, and who we dialled may have been told to us by liars.
func (s spares) draw(n int) []peer.ID {
	for _, list := range [][]peer.ID{s.dialled, s.useful} {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	dialled := min(len(s.dialled), n-min(len(s.useful), n/2))
	useful := min(len(s.useful), n-dialled)
	return slices.Concat(s.dialled[:dialled], s.useful[:useful])
}
