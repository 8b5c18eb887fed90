package catchup

import (
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Ref is a block with its height.
type Ref struct {
	ID     wire.BlockID
	Height uint64
}

// Ask is a request to send: for headers if it has a Locator, for blocks otherwise.
type Ask struct {
	ID   uint64
	Peer peerscore.PeerID

	// Locator is where the branch passes that is asked for, as far as we know it, at the
	// heights of wire.LocatorHeight. Count headers are asked for above it.
	Locator []Ref
	Count   int

	// Blocks follow each other on the peer's best chain, the first at height From.
	Blocks []wire.BlockID
	From   uint64
	Sizes  []int // of those, at most
}

// request is one that is out.
type request struct {
	id   uint64
	from *source

	locator []Ref
	whole   bool // the locator reaches genesis
	count   int
	extends *node  // the leaf that the headers are to follow; may be nil
	parent  *node  // of the next header, if that is in the tree
	last    Ref    // the last header that came
	slot    uint64 // of it

	nodes []*node // blocks asked for

	came     int // headers or blocks
	got      int // bytes
	before   int // bytes of blocks that the peer had given when it was asked
	at       time.Time
	progress time.Time
}

func (r *request) headers() bool { return r.nodes == nil }

// needed says whether a block that is still to come is wanted.
func (r *request) needed() bool {
	if r.headers() {
		return true
	}
	for _, n := range r.nodes[r.came:] {
		if n.state == asked {
			return true
		}
	}
	return false
}

// End is how an answer ended: where the peer says that its chain does.
type End struct {
	Height uint64
	Head   wire.BlockID
}

// Why says why a request ended badly.
type Why string

const (
	// Broken: the stream ended, or the peer claims what it does not give.
	Broken Why = "broken"
	// Busy: the peer has no place for the request now.
	Busy Why = "busy"
	// Early: what the peer gave cannot be judged yet, by our clock or for a failure of ours.
	Early Why = "too early for us"
	// Elsewhere: the peer has another block at the height of the next one asked for.
	Elsewhere Why = "on another branch"
	// Lied: the peer is proven to have lied; it rests for long.
	Lied Why = "lied"
	// Late: nothing, or far too little, came in time. Only the Scheduler says so.
	Late Why = "too late"
	// Needless: what was asked for is not wanted any more. Only the Scheduler says so.
	Needless Why = "not wanted any more"
)

// Cancel is a request to give up.
type Cancel struct {
	ID   uint64
	Peer peerscore.PeerID
	Why  Why // Late or Needless
}

// Fault is an answer that no honest peer can have given.
type Fault string

const (
	// Unlinked: the headers do not follow each other, or what was asked for.
	Unlinked Fault = "headers do not follow each other"
	// NotAsked: more than was asked for, or something else.
	NotAsked Fault = "not asked for"
)

func (f Fault) Error() string { return "catchup: " + string(f) }
