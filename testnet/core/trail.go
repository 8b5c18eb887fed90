package core

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"time"
)

// trail is a hash over everything that happened, in its order.
type trail struct {
	sum  hash.Hash
	room []byte // what is not in sum yet
}

const trailRoom = 64 << 10

func newTrail() trail { return trail{sum: sha256.New(), room: make([]byte, 0, trailRoom+128)} }

// note adds one thing that happened to a node. Peer and m may be none.
func (t *trail) note(at time.Duration, mark byte, node, peer int32, m *Message) {
	t.room = binary.LittleEndian.AppendUint64(t.room, uint64(at))
	t.room = append(t.room, mark)
	t.room = binary.LittleEndian.AppendUint32(t.room, uint32(node))
	t.room = binary.LittleEndian.AppendUint32(t.room, uint32(peer))
	if m != nil {
		t.room = append(t.room, byte(m.Kind))
		t.room = binary.LittleEndian.AppendUint64(t.room, uint64(m.ID))
		t.room = binary.LittleEndian.AppendUint32(t.room, uint32(m.wire))
	}
	if len(t.room) >= trailRoom {
		t.flush()
	}
}

func (t *trail) flush() {
	t.sum.Write(t.room)
	t.room = t.room[:0]
}

// hash ends the trail.
func (t *trail) hash() string {
	t.flush()
	return hex.EncodeToString(t.sum.Sum(nil))
}
