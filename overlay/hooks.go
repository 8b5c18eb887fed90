package overlay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Hooks lets a caller watch the overlay. Any field may be nil. A hook runs on the
// overlay's or pubsub's own goroutines, several at once, and must not block nor call
// back into the Overlay.
type Hooks struct {
	// TxArrived reports the verdict on the first copy of a transaction; id is zero
	// where the bytes are no transaction.
	TxArrived func(id wire.TxID, from peerscore.PeerID, v validation.Verdict, err error)
	// TxDuplicate reports a further copy of a transaction.
	TxDuplicate func(id wire.TxID, from peerscore.PeerID)
	// TxKept reports how many transactions wait for a peer on the topic.
	TxKept func(waiting int)

	// TxEchoed reports that enough peers are known to have a transaction of our own.
	TxEchoed func(id wire.TxID)

	// ReconSessions reports how many sessions of reconciliation there are.
	ReconSessions func(open int)
	// ReconCompared reports the end of an exchange: how many ids only the peer had, and how
	// many only we.
	ReconCompared func(with peerscore.PeerID, theirs, ours int)
	// ReconBytes reports bytes of frames of reconciliation.
	ReconBytes func(sent, received int)
	// ReconOneSided reports on how many links outside the mesh peers keep giving what our mesh
	// does not bring; 0 if that is over.
	ReconOneSided func(links int)
	// TxFetched reports how many transactions a peer gave on request.
	TxFetched func(from peerscore.PeerID, n int)

	// MemberChanged reports that a member of the network is in another state now.
	MemberChanged func(id peer.ID, state swim.State)

	// SyncAdded reports a block that was fetched from a peer and is in the chain now.
	SyncAdded func(id wire.BlockID)
	// SyncReplaced reports a peer that let us wait while catching up: another is asked.
	SyncReplaced func(late peerscore.PeerID)

	// BlockHeard reports a valid header that came by gossip.
	BlockHeard func(id wire.BlockID, from peerscore.PeerID)
	// BlockRebuilt reports a block that gossip announced and that is now in the chain.
	BlockRebuilt func(id wire.BlockID, how Rebuilt)
	// BlockFailed reports an announced block whose body could not be had, or is not valid: then
	// err is a validation.BadBlock, and proves that its producer signed what it must not.
	BlockFailed func(h validation.CheckedHeader, err error)
	// BlockArriving reports the same block before the chain has it.
	BlockArriving func(id wire.BlockID, how Rebuilt)
	// BlockLapse reports what a peer did not do while a block was put together. It proves
	// nothing.
	BlockLapse func(id wire.BlockID, p peerscore.PeerID, what compact.Lapse)
	// BlockAccused reports what a producer provably signed wrong, where the block may be
	// valid all the same.
	BlockAccused func(h validation.CheckedHeader, why error)
	// CompactBytes reports bytes of frames with parts of blocks.
	CompactBytes func(sent, received int)
	// EvidenceSeen reports an equivocation, found here or told by a peer.
	EvidenceSeen func(ev *wire.Evidence)

	// RPCDropped reports a message that was not sent because the peer's queue was full.
	RPCDropped func(to peerscore.PeerID, topic string)
	// ValidationDropped reports a message that was not judged because the queue was full.
	ValidationDropped func(from peerscore.PeerID, topic string)

	// TxShed reports messages of a peer that were dropped unread: over its budget, or the
	// least valuable where more came than can be judged. They may come again.
	TxShed func(from peerscore.PeerID, n int, why Shed)

	// PeerJoined reports a peer whose hello succeeded, or that is welcome as a guest.
	PeerJoined func(PeerInfo)
	// PeerLeft reports that a peer which had joined is gone.
	PeerLeft func(id peer.ID, why string)
	// PeerCut reports a peer that was banned and disconnected: for an offence (why is its
	// name), or as graylisted.
	PeerCut func(id peerscore.PeerID, why string)
	// HelloRefused reports a peer that was sent away at hello.
	HelloRefused func(id peer.ID, reason string)
	// Offence reports what was charged to a peer.
	Offence func(p peerscore.PeerID, o peerscore.Offence, err error)
}

// Shed says why a message was dropped unread.
type Shed string

const (
	// ShedBudget: the peer sent more than its budget of messages.
	ShedBudget Shed = "budget"
	// ShedOverload: more came than this node can judge, and others paid more, or had signed
	// all that they sent before.
	ShedOverload Shed = "overload"
)

// Rebuilt says where the transactions of a block came from.
type Rebuilt struct {
	Parts    compact.Way        // of a block that was put together from parts; empty for others
	FromPool int                // were known
	Filled   int                // came unasked, behind the header
	Asked    int                // sent on request
	Rounds   int                // of asking, also where the answer was not needed any more
	Wanted   int                // chunks of the coded body that were asked for
	Chunks   int                // that proved
	Whole    bool               // the whole block had to be fetched
	Sender   peerscore.PeerID   // of the header
	From     []peerscore.PeerID // who gave any of the body, ascending
	Took     time.Duration      // from header to body; in BlockRebuilt, to chain
}

// Empty says whether the block has no transactions, so that nothing had to be put together.
func (r Rebuilt) Empty() bool {
	return r.FromPool+r.Filled+r.Asked+r.Chunks == 0 && !r.Requested()
}

// Requested says whether anything had to be asked for.
func (r Rebuilt) Requested() bool { return r.Way() != string(compact.AtOnce) }

// Way names how the block was put together: at_once, rounds, chunks or whole.
func (r Rebuilt) Way() string {
	switch {
	case r.Whole:
		return "whole"
	case r.Parts != "":
		return string(r.Parts)
	case r.Rounds > 0:
		return string(compact.Rounds)
	}
	return string(compact.AtOnce)
}

// ChainError is what a Chain can say of a block beside what validation has names for.
type ChainError string

// NotFound is what a Chain answers for a block that it does not have.
const NotFound ChainError = "not found"

func (e ChainError) Error() string { return "overlay: block " + string(e) }

// call runs a hook if there is one.
func call[A any](hook func(A), a A) {
	if hook != nil {
		hook(a)
	}
}

// call3 is call for three arguments.
func call3[A, B, C any](hook func(A, B, C), a A, b B, c C) {
	if hook != nil {
		hook(a, b, c)
	}
}

// call2 is call for two arguments.
func call2[A, B any](hook func(A, B), a A, b B) {
	if hook != nil {
		hook(a, b)
	}
}
