package api

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Kind says what an event tells.
type Kind string

// The kinds of events.
const (
	TxAccepted Kind = "tx_accepted" // durable here
	TxPending  Kind = "tx_pending"  // in the mempool
	TxIncluded Kind = "tx_included" // in a block of the best chain
	TxReplaced Kind = "tx_replaced"
	TxExpired  Kind = "tx_expired"
	TxEvicted  Kind = "tx_evicted"
	TxInvalid  Kind = "tx_invalid"
	BlockAdded Kind = "block"    // the best chain grew by it
	Rollback   Kind = "rollback" // it left the best chain
	BlockFinal Kind = "final"    // it can never be rolled back
	PeerJoined Kind = "peer_joined"
	PeerLeft   Kind = "peer_left"
	GapKind    Kind = "gap" // events were missed here
	Evidence   Kind = "evidence"

	ProducerFaultKnown Kind = "producer_fault"
)

// Kinds lists every kind of event.
func Kinds() []Kind {
	return []Kind{
		TxAccepted, TxPending, TxIncluded, TxReplaced, TxExpired, TxEvicted, TxInvalid,
		BlockAdded, Rollback, BlockFinal, PeerJoined, PeerLeft, GapKind, Evidence,
		ProducerFaultKnown,
	}
}

// Event is one thing that happened. ID and what the kind tells about are always
// set; Time is in unix milliseconds.
type Event struct {
	ID       string         `json:"id" doc:"Resume after this event with it: <boot>-<sequence>."`
	Kind     Kind           `json:"kind" enum:"tx_accepted,tx_pending,tx_included,tx_replaced,tx_expired,tx_evicted,tx_invalid,block,rollback,final,peer_joined,peer_left,gap,evidence,producer_fault"`
	Time     uint64         `json:"time" doc:"Unix milliseconds."`
	Tx       *TxEvent       `json:"tx,omitempty" doc:"On tx_*."`
	Block    *BlockEvent    `json:"block,omitempty" doc:"On block, rollback, final, tx_included."`
	Peer     *PeerEvent     `json:"peer,omitempty" doc:"On peer_*."`
	Evidence *EvidenceEvent `json:"evidence,omitempty" doc:"On evidence."`
	Fault    *ProducerFault `json:"fault,omitempty" doc:"On producer_fault."`
	Gap      *Gap           `json:"gap,omitempty" doc:"On gap."`
}

// TxEvent is the transaction that an event tells about.
type TxEvent struct {
	ID     wire.TxID  `json:"id"`
	Sender string     `json:"sender" doc:"bech32m address."`
	To     string     `json:"to,omitempty" doc:"bech32m address."`
	Nonce  Amount     `json:"nonce"`
	Fee    Amount     `json:"fee"`
	Amount Amount     `json:"amount,omitempty"`
	Size   int        `json:"size"`
	Local  bool       `json:"local,omitempty" doc:"Submitted to this node."`
	By     *wire.TxID `json:"by,omitempty" doc:"What took its place, on tx_replaced."`
	Reason string     `json:"reason,omitempty"`
}

// BlockEvent is the block that an event tells about.
type BlockEvent struct {
	ID       wire.BlockID `json:"id"`
	Height   uint64       `json:"height"`
	Slot     uint64       `json:"slot"`
	Producer string       `json:"producer,omitempty"`
	TxCount  uint32       `json:"tx_count"`
	Journey  *Journey     `json:"journey,omitempty" doc:"How it came, if it was announced of late."`
}

// PeerEvent is the peer that came or went.
type PeerEvent struct {
	ID     string `json:"id"`
	Addr   string `json:"addr,omitempty"`
	Guest  bool   `json:"guest,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// EvidenceEvent is a producer that signed two headers for one slot.
type EvidenceEvent struct {
	Producer string       `json:"producer"`
	Slot     uint64       `json:"slot"`
	First    wire.BlockID `json:"first"`
	Second   wire.BlockID `json:"second"`
}

// Gap says that events were missed before the next one. After it, ask for the
// state (head, account, transaction) again.
type Gap struct {
	Lost   uint64 `json:"lost,omitempty" doc:"How many events; absent if that cannot be known."`
	Reason string `json:"reason" enum:"restarted,too_old,unknown_cursor"`
}

// Cursor is a place in the event stream of one run of one node: just after the
// event with that sequence number.
type Cursor struct {
	Boot string // drawn at random when the process starts
	Seq  uint64 // 0 is before the first event
}

// bootLen is the length of Cursor.Boot in characters.
const bootLen = 16

// String is the form that event ids have.
func (c Cursor) String() string { return c.Boot + "-" + strconv.FormatUint(c.Seq, 10) }

// ParseCursor reads an event id. A cursor that parses may still be of another
// node or another run; the stream then begins with a gap.
func ParseCursor(s string) (Cursor, error) {
	boot, seq, ok := strings.Cut(s, "-")
	if _, err := hex.DecodeString(boot); !ok || err != nil || len(boot) != bootLen {
		return Cursor{}, fmt.Errorf("event id %.40q is not <%d hex digits>-<number>", s, bootLen)
	}
	n, err := ParseAmount(seq)
	if err != nil {
		return Cursor{}, fmt.Errorf("event id %.40q: %w", s, err)
	}
	return Cursor{Boot: boot, Seq: uint64(n)}, nil
}

// Filter chooses events. The zero value chooses all of them. Gaps always pass.
type Filter struct {
	Addresses []string // events of transactions that these accounts send or receive, in bech32m
	Kinds     []Kind
}

// Match says whether e passes.
func (f Filter) Match(e Event) bool {
	if e.Kind == GapKind {
		return true
	}
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) {
		return false
	}
	if len(f.Addresses) == 0 {
		return true
	}
	return e.Tx != nil && (slices.Contains(f.Addresses, e.Tx.Sender) ||
		e.Tx.To != "" && slices.Contains(f.Addresses, e.Tx.To))
}
