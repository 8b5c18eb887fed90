package attack

import (
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"
)

// withholder announces every message that it hears of, the sooner the better,
// and never sends any.
type withholder struct {
	honest
	fresh map[string][]string // ids to announce, by topic
	said  map[string]bool
	last  time.Time // when it announced
}

// announceEvery leaves some of the few announcements that routers take of a
// peer in each heartbeat.
const announceEvery = 100 * time.Millisecond

func newWithholder(*params) rule {
	return &withholder{fresh: make(map[string][]string), said: make(map[string]bool)}
}

func (w *withholder) message(_ *node, m *message) { w.note(m.carried.GetTopic(), m.id) }

func (w *withholder) announced(_ *node, _ *line, topic string, ids []string) {
	for _, id := range ids {
		w.note(topic, id)
	}
}

func (w *withholder) note(topic, id string) {
	if len(w.said) > memory {
		clear(w.said)
	}
	if !w.said[id] {
		w.said[id] = true
		w.fresh[topic] = append(w.fresh[topic], id)
	}
}

func (*withholder) asked(*node, *line, []string) {}

// beat announces what came since the last time.
func (w *withholder) beat(n *node, now time.Time) {
	if now.Sub(w.last) < announceEvery {
		return
	}
	w.last = now
	for topic, ids := range w.fresh {
		have := &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: proto.String(topic), MessageIDs: ids}}}
		for _, l := range n.audience(topic) {
			l.control(have)
		}
	}
	clear(w.fresh)
}
