package overlay

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// The three frames of the announce protocol have one field each, of this number: the ids one
// behind the other, a bit for each that is wanted, and a transaction. Unknown fields are
// skipped, so that versions can differ.
const announceField = 1

// Limits of the announce protocol.
const (
	maxAnnounced = 512 // ids
	maxAnnounce  = maxAnnounced*len(wire.TxID{}) + announceSlack
	maxWant      = maxAnnounced/8 + announceSlack
	maxPush      = wire.MaxTx + announceSlack

	announceSlack = 64 // for tags, lengths and what later versions add
)

func announceFrame(content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, announceField, protowire.BytesType), content)
}

// announceContent is what a frame carries. The last of several wins, as in protobuf.
func announceContent(frame []byte) (content []byte, err error) {
	err = fields(frame, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if num != announceField {
			return nil
		}
		if typ != protowire.BytesType {
			return FrameGarbage
		}
		content = value
		return nil
	})
	return content, err
}

// announcedIDs decodes the first frame.
func announcedIDs(frame []byte) ([]wire.TxID, error) {
	content, err := announceContent(frame)
	if err != nil {
		return nil, err
	}
	const size = len(wire.TxID{})
	if len(content) == 0 || len(content)%size != 0 {
		return nil, FrameGarbage
	}
	if len(content) > maxAnnounced*size {
		return nil, FrameTooMany
	}
	ids := make([]wire.TxID, len(content)/size)
	for i := range ids {
		ids[i] = wire.TxID(content[i*size:])
	}
	return ids, nil
}

// places is a set of places, the first in the lowest bit of the first byte.
type places []byte

func newPlaces(n int) places { return make(places, (n+7)/8) }

func (b places) set(i int) { b[i/8] |= 1 << (i % 8) }

func (b places) has(i int) bool { return b[i/8]&(1<<(i%8)) != 0 }

// wantedOf decodes the answer to n ids.
func wantedOf(frame []byte, n int) (places, error) {
	content, err := announceContent(frame)
	if err != nil {
		return nil, err
	}
	if len(content) != len(newPlaces(n)) {
		return nil, BadAnswer
	}
	return places(content), nil
}
