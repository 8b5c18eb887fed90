package overlay

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// inventoryMessages bounds the messages of which is known who has them, twice: at 500 a second
	// those of more than ten seconds. Of others announcements are sent as ever.
	inventoryMessages = 8192
	// inventoryPeers bounds the peers that are known to have one.
	inventoryPeers = 32
)

// inventory is, of the latest messages of an instance, who told us of them and whom we told.
// The router announces a message to some peers in each of three heartbeats, whatever these
// know. To those that announced or sent it themselves, one announcement is enough: it says
// that we have it, which origins want to hear. Nil knows nothing. It is safe for concurrent
// use.
type inventory struct {
	memory time.Duration // constant: the router announces for less long

	mu     sync.Mutex // guards what follows
	latest [2]map[string]*knowers
	turned time.Time
}

// knowers are the peers that know that a message is there.
type knowers struct{ theirs, ours []peer.ID }

func newInventory(memory time.Duration) *inventory {
	return &inventory{memory: memory, latest: [2]map[string]*knowers{make(map[string]*knowers), make(map[string]*knowers)}}
}

// arrived notes a message that came.
func (v *inventory) arrived(now time.Time, from peer.ID, id string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if k := v.ofLocked(now, id); k != nil {
		k.theirs = with(k.theirs, from)
	}
}

// heard notes that a peer has messages. Those that are not here are not announced either.
func (v *inventory) heard(from peer.ID, ids ...string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		if k := v.knownLocked(id); k != nil {
			k.theirs = with(k.theirs, from)
		}
	}
}

// news are the ids of those messages that a peer is not known to have and was not told of. It
// is told of them now.
func (v *inventory) news(now time.Time, to peer.ID, ids []string) (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		k := v.ofLocked(now, id)
		if k != nil && !slices.Contains(k.theirs, to) && !slices.Contains(k.ours, to) {
			k.ours = with(k.ours, to)
			out = append(out, id)
		}
	}
	return out
}

// trim leaves out of an encoded RPC with its length prefix what a peer need not be told. It
// is the frame itself where it announces nothing, and empty where nothing is left.
func (v *inventory) trim(now time.Time, to peer.ID, frame []byte) []byte {
	_, n := binary.Uvarint(frame)
	if v == nil || n <= 0 || !announces(frame[n:]) {
		return frame
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	body := filterFields(frame[n:], func(num protowire.Number, value []byte) ([]byte, bool) {
		if num != rpcControl {
			return value, true
		}
		control := filterFields(value, func(num protowire.Number, entry []byte) ([]byte, bool) {
			if num != controlIHave {
				return entry, true
			}
			return v.trimLocked(now, to, entry)
		})
		return control, len(control) > 0
	})
	if len(body) == 0 {
		return nil
	}
	return frameOf(body)
}

// trimLocked does it to one announcement, and says whether anything is left of it.
func (v *inventory) trimLocked(now time.Time, to peer.ID, ihave []byte) (left []byte, any bool) {
	ids := idField(controlIHave)
	left = filterFields(ihave, func(num protowire.Number, value []byte) ([]byte, bool) {
		if num != ids {
			return value, true
		}
		k := v.ofLocked(now, string(value))
		switch {
		case k == nil:
		case slices.Contains(k.theirs, to) && slices.Contains(k.ours, to):
			return nil, false
		default:
			k.ours = with(k.ours, to)
		}
		any = true
		return value, true
	})
	return left, any
}

// announces says whether an encoded RPC has an announcement.
func announces(rpc []byte) (yes bool) {
	_ = fields(rpc, func(num protowire.Number, typ protowire.Type, control []byte) error {
		if num != rpcControl || typ != protowire.BytesType {
			return nil
		}
		return fields(control, func(num protowire.Number, _ protowire.Type, _ []byte) error {
			yes = yes || num == controlIHave
			return nil
		})
	})
	return yes
}

// ofLocked is who knows of a message; nil if there are too many messages.
func (v *inventory) ofLocked(now time.Time, id string) *knowers {
	if now.Sub(v.turned) >= v.memory {
		v.latest[1], v.latest[0] = v.latest[0], make(map[string]*knowers)
		v.turned = now
	}
	k := v.knownLocked(id)
	if k == nil && len(v.latest[0]) < inventoryMessages {
		k = new(knowers)
		v.latest[0][id] = k
	}
	return k
}

func (v *inventory) knownLocked(id string) *knowers {
	if k := v.latest[0][id]; k != nil {
		return k
	}
	return v.latest[1][id]
}

// with adds a peer to a list of at most inventoryPeers, each once.
func with(list []peer.ID, p peer.ID) []peer.ID {
	if len(list) >= inventoryPeers || slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}
