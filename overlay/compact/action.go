package compact

import (
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Action is what the caller is to do: [Send], [Built], [Blame], [Missed], [Settled], [Accuse]
// or [GaveUp].
type Action interface{ action() }

// Send is a frame for a link. Frames of one link have to arrive in order, but for [Ask],
// [Have] and [Want], which should overtake [Fill] and [Chunk] that wait.
type Send struct {
	To    peerscore.PeerID
	Frame Frame
}

// Built is a body that the header signs. Whether it is valid is for validation's Checker
// to say; a body that is not is the fault of the producer alone.
type Built struct {
	Block wire.BlockID
	Parts []validation.Part
	How   How
}

// Blame is a provable fault of a link.
type Blame struct {
	Link  peerscore.PeerID
	Block wire.BlockID
	Why   error // wraps a Fault
}

// Missed is a lapse of a link, to be judged against those of others.
type Missed struct {
	Link  peerscore.PeerID
	Block wire.BlockID
	What  Lapse
}

// Settled is what a link owed over a block, and what of that had not come when the block was
// forgotten, long after. It proves nothing by itself: see [Withholders].
type Settled struct {
	Link   peerscore.PeerID
	Block  wire.BlockID
	Owed   int // answers and chunks
	Unpaid int
}

// Accuse is a provable fault of a block's producer, of whom all parts are right and the
// whole is not. It does not make the block invalid.
type Accuse struct {
	Header validation.CheckedHeader
	Why    error // wraps a Fault
}

// GaveUp says that the block has to come in another way: whole, or by sync.
type GaveUp struct {
	Block wire.BlockID
	Why   error // wraps a Failure
}

func (Send) action()    {}
func (Built) action()   {}
func (Blame) action()   {}
func (Missed) action()  {}
func (Settled) action() {}
func (Accuse) action()  {}
func (GaveUp) action()  {}

// Way is how the last missing part of a block came, or how it had been asked for when it came
// unasked.
type Way string

// The ways, from the fastest to the slowest.
const (
	AtOnce Way = "at_once" // all was known, or came with the header
	Rounds Way = "rounds"  // missing transactions were asked for
	Chunks Way = "chunks"  // enough was missing to collect chunks
)

// How tells how a block was put together.
type How struct {
	Way    Way
	Took   time.Duration      // since its header came
	Known  int                // transactions that were known
	Filled int                // that came unasked
	Asked  int                // that came for an Ask
	Rounds int                // of asking
	Wanted int                // chunks that were asked for
	Chunks int                // that proved
	Spare  int                // chunks that came and were not needed
	From   []peerscore.PeerID // who gave any of it, ascending
}
