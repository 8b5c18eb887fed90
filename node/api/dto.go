package api

import (
	"github.com/grapevine-p2p/grapevine/wire"
)

// State is where a transaction is in its life.
type State string

// The states of a transaction. Accepted to Final is the good road, in order.
const (
	Accepted State = "accepted" // durable here, waits for an earlier nonce
	Pending  State = "pending"  // in the mempool, ready for a block
	Included State = "included" // in a block of the best chain
	Final    State = "final"    // in a block that is never rolled back
	Replaced State = "replaced" // a better-paying one took its sender and nonce
	Expired  State = "expired"  // its time passed
	Evicted  State = "evicted"  // better payers needed the room
	Invalid  State = "invalid"  // the chain moved so that it can never apply
	Unknown  State = "unknown"  // this node has never seen it, or has forgotten
)

// rank orders the good road; 0 is off that road.
func (s State) rank() int {
	switch s {
	case Accepted:
		return 1
	case Pending:
		return 2
	case Included:
		return 3
	case Final:
		return 4
	case Replaced, Expired, Evicted, Invalid, Unknown:
	}
	return 0
}

// Ended says whether the transaction left the good road for good.
func (s State) Ended() bool {
	return s == Replaced || s == Expired || s == Evicted || s == Invalid
}

// TxStatus says what became of one transaction.
type TxStatus struct {
	ID     wire.TxID     `json:"id" doc:"SHA-256 over the transaction as carried, in hex."`
	State  State         `json:"state" enum:"accepted,pending,included,final,replaced,expired,evicted,invalid,unknown"`
	Block  *wire.BlockID `json:"block,omitempty" doc:"The block that includes it."`
	Height uint64        `json:"height,omitempty" doc:"The height of that block."`
	By     *wire.TxID    `json:"by,omitempty" doc:"The transaction that took its place."`
	Reason string        `json:"reason,omitempty" doc:"Why it ended, for people."`
	Local  bool          `json:"local,omitempty" doc:"Submitted to this node, kept through a crash."`
}

// Account is the state of one account at the head, and what the mempool adds.
type Account struct {
	Address   string `json:"address" doc:"bech32m, with the prefix of the network."`
	Balance   Amount `json:"balance" doc:"Confirmed, in smallest units."`
	Nonce     Amount `json:"nonce" doc:"The next nonce by the confirmed chain."`
	NextNonce Amount `json:"next_nonce" doc:"The next nonce counting what waits in the mempool: use this one."`
}

// Ref names a block. Time is in unix milliseconds.
type Ref struct {
	ID     wire.BlockID `json:"id"`
	Height uint64       `json:"height"`
	Slot   uint64       `json:"slot"`
	Time   uint64       `json:"time" doc:"Unix milliseconds."`
}

// Head is the end of the best chain, and the last block that cannot be undone.
type Head struct {
	Head  Ref `json:"head"`
	Final Ref `json:"final"`
}

// Equivocation is a producer that signed two headers for one slot, with what
// proves it to anybody who has the genesis.
type Equivocation struct {
	EvidenceEvent
	Found uint64 `json:"found" doc:"When this node learnt of it, unix milliseconds."`
	Proof string `json:"proof" doc:"Both headers with their signatures, in hex (Evidence of the protocol)."`
}

// Equivocations is the answer of GET /v1/evidence.
type Equivocations struct {
	Evidence []Equivocation `json:"evidence"`
}

// ProducerFaultKind says what a producer signed.
type ProducerFaultKind string

// What a producer must not sign.
const (
	InvalidBody ProducerFaultKind = "invalid_body"           // the header signs this body, and it is not valid
	OtherChunks ProducerFaultKind = "chunks_of_another_body" // the block may be valid all the same
)

// ProducerFault is a block whose producer signed what is not so, as this node found when it
// put it together. Whoever has the block can do the same.
type ProducerFault struct {
	Producer string            `json:"producer"`
	Slot     uint64            `json:"slot"`
	Height   uint64            `json:"height"`
	Block    wire.BlockID      `json:"block"`
	Fault    ProducerFaultKind `json:"fault" enum:"invalid_body,chunks_of_another_body"`
	Why      string            `json:"why" doc:"For people."`
	Found    uint64            `json:"found" doc:"Unix milliseconds."`
}

// ProducerFaults is the answer of GET /v1/producer-faults.
type ProducerFaults struct {
	Faults []ProducerFault `json:"faults"`
}

// Syncing says whether the node is catching up.
type Syncing struct {
	Active bool   `json:"active"`
	Height uint64 `json:"height" doc:"Reached."`
	Target uint64 `json:"target" doc:"The highest head that a peer has shown."`

	Sources       int     `json:"sources" doc:"Peers of which blocks are fetched."`
	HeadersAhead  int     `json:"headers_ahead" doc:"Headers known of blocks that are not in the chain."`
	InFlight      int     `json:"in_flight_blocks" doc:"Blocks that were asked for, or came, and are not in the chain yet."`
	InFlightBytes int     `json:"in_flight_bytes"`
	PerSecond     float64 `json:"blocks_per_second" doc:"Lately, while active."`
}

// Producer is the block-producing side of a node that has a producer key.
type Producer struct {
	Address  string `json:"address"`
	Active   bool   `json:"active" doc:"In the producer set at the head."`
	LastSlot uint64 `json:"last_slot,omitempty" doc:"The last slot this node signed."`
	Produced uint64 `json:"produced" doc:"Blocks made since the start."`
}

// Status is the node at a glance. Started is in unix milliseconds.
type Status struct {
	Network        string         `json:"network"`
	NetworkID      wire.NetworkID `json:"network_id"`
	Version        string         `json:"version"`
	PeerID         string         `json:"peer_id"`
	Addrs          []string       `json:"addrs" doc:"Multiaddresses to dial this node at."`
	Head           Ref            `json:"head"`
	Final          Ref            `json:"final"`
	Syncing        Syncing        `json:"syncing"`
	Peers          int            `json:"peers"`
	Guests         int            `json:"guests" doc:"Those among the peers that do not speak hello."`
	OneSidedLinks  int            `json:"one_sided_links" doc:"Links outside the mesh on which peers keep giving transactions that the mesh does not bring. More than 0 for long: this node may be eclipsed."`
	Reachability   *Reachability  `json:"reachability,omitempty" doc:"Whether peers can dial this node, as they found out; absent with the profile testnet."`
	Members        *MemberCount   `json:"members,omitempty" doc:"The network as far as this node knows it; absent while the node starts, and without membership."`
	Mempool        Mempool        `json:"mempool"`
	Producer       *Producer      `json:"producer,omitempty"`
	Equivocations  int            `json:"equivocations" doc:"Known cases of a producer that signed two headers for one slot: GET /v1/evidence."`
	ProducerFaults int            `json:"producer_faults" doc:"Blocks since the start whose producers signed what is not valid: GET /v1/producer-faults. At most four of one producer."`
	SetAside       []string       `json:"set_aside,omitempty" doc:"Folders to which damaged stores were moved. What peers have was fetched again; transactions that could not be read are forgotten: send them again. Remove a folder when it is not needed any more."`
	Started        uint64         `json:"started" doc:"Unix milliseconds."`
	Uptime         uint64         `json:"uptime_s"`
	Ready          bool           `json:"ready"`
	Waiting        []string       `json:"waiting,omitempty" doc:"What keeps the node from being ready."`
}

// ReachState says whether peers can dial a node.
type ReachState string

// The states of reachability.
const (
	Reachable    ReachState = "reachable"   // at one address at least
	Unreachable  ReachState = "unreachable" // at none: it works with the peers that it dials
	ReachUnknown ReachState = "unknown"     // no public address is known, or none was tried yet
)

// Reachability says at which of its public addresses a node can be dialled.
type Reachability struct {
	State       ReachState `json:"state" enum:"reachable,unreachable,unknown"`
	Reachable   []string   `json:"reachable,omitempty" doc:"Multiaddresses."`
	Unreachable []string   `json:"unreachable,omitempty" doc:"Multiaddresses."`
}

// Peer is one connection. Since is in unix milliseconds.
type Peer struct {
	ID          string   `json:"id"`
	Addrs       []string `json:"addrs"`
	Direction   string   `json:"direction" enum:"inbound,outbound,unknown"`
	Silence     float64  `json:"silence_ms,omitempty" doc:"For how long it has owed an answer to the question whether it lives; absent if it owes none. Above two seconds its process or its line stands still."`
	Why         string   `json:"why,omitempty" enum:"anchor,book,bootstrap,feeler,kept,operator" doc:"Why this node dialled it; absent if it dialled this node."`
	Network     string   `json:"network,omitempty" doc:"The group of addresses that it is in: an IPv4 /16 or IPv6 /32."`
	Guest       bool     `json:"guest" doc:"Does not speak hello."`
	Agent       string   `json:"agent,omitempty"`
	Height      uint64   `json:"height,omitempty" doc:"As it said in its hello."`
	RTT         float64  `json:"rtt_ms,omitempty" doc:"Round trip in milliseconds; absent before the first measurement."`
	Score       float64  `json:"score"`
	InTxMesh    bool     `json:"in_tx_mesh"`
	InBlockMesh bool     `json:"in_block_mesh"`
	Since       uint64   `json:"since" doc:"Unix milliseconds."`
}

// Peers is the answer of GET /v1/peers.
type Peers struct {
	Peers []Peer `json:"peers"`
}

// MemberCount is the network in numbers.
type MemberCount struct {
	NetworkSize int `json:"network_size" doc:"Nodes of the network, this one included and the dead not; an estimate where there are more than this node keeps."`
	Alive       int `json:"alive" doc:"Of those that this node keeps, itself not included."`
	Suspect     int `json:"suspect" doc:"Somebody gets no answer from them."`
	Dead        int `json:"dead" doc:"Nobody does."`
}

// Member is another node of the network, connected to this one or not. Since and
// Proof are in unix milliseconds.
type Member struct {
	ID          string   `json:"id"`
	State       string   `json:"state" enum:"alive,suspect,dead"`
	Since       uint64   `json:"since" doc:"When it came to that state here, unix milliseconds."`
	Proof       uint64   `json:"proof" doc:"When this node last had proof that it lives, unix milliseconds."`
	Addrs       []string `json:"addrs" doc:"As it says itself, signed."`
	Incarnation Amount   `json:"incarnation" doc:"The version of what it says of itself; a new one refutes a suspicion."`
	Linked      bool     `json:"linked" doc:"It is a peer that speaks of members with this node."`
}

// Members is the answer of GET /v1/members.
type Members struct {
	MemberCount
	Members []Member `json:"members"`
}

// Mempool sums up the pool.
type Mempool struct {
	Count      int `json:"count"`
	Bytes      int `json:"bytes"`
	Executable int `json:"executable" doc:"Could be in the next block."`
	Waiting    int `json:"waiting" doc:"Wait for an earlier nonce."`
	Senders    int `json:"senders"`
	MaxCount   int `json:"max_count"`
	MaxBytes   int `json:"max_bytes"`
}

// Fees says what a transaction should pay, per 1,000 bytes, rounded up.
type Fees struct {
	Floor  Amount `json:"floor" doc:"The fixed minimum of the network, per 1,000 bytes."`
	Enter  Amount `json:"enter" doc:"What the mempool asks for now, per 1,000 bytes."`
	Low    Amount `json:"low" doc:"More than a tenth of the pool pays, per 1,000 bytes."`
	Medium Amount `json:"medium" doc:"More than half of the pool pays, per 1,000 bytes."`
	High   Amount `json:"high" doc:"More than nine tenths of the pool pay, per 1,000 bytes."`
}

// Suggest is a fee for a transaction of size bytes: the medium rate, and never
// less than what the network and the pool ask for. It saturates.
func (f Fees) Suggest(size int) Amount {
	rate := max(f.Floor, f.Enter, f.Medium)
	n := Amount(max(size, 0))
	if n != 0 && rate > (^Amount(0)-999)/n {
		return ^Amount(0)
	}
	return (rate*n + 999) / 1000
}

// TxBody is the body of a transaction of the built-in application, as JSON
// carries it. Both submission and block answers use it.
type TxBody struct {
	Sender    string `json:"sender" doc:"bech32m address."`
	Nonce     Amount `json:"nonce"`
	Fee       Amount `json:"fee"`
	ExpiresAt uint64 `json:"expires_at,omitempty" doc:"Unix milliseconds; 0 or absent is never."`
	To        string `json:"to,omitempty" doc:"bech32m address; absent: no transfer."`
	Amount    Amount `json:"amount,omitempty"`
	Payload   string `json:"payload,omitempty" doc:"Hex."`
}

// Tx is one transaction of a block that was asked for with txs=full. Body is
// absent, and Raw present, where the body is not of the built-in application.
type Tx struct {
	ID        wire.TxID `json:"id"`
	Size      int       `json:"size"`
	Body      *TxBody   `json:"body,omitempty"`
	Raw       string    `json:"raw,omitempty" doc:"The body in hex."`
	Signature string    `json:"signature" doc:"Hex."`
}

// Journey says how an announced block came to this node.
type Journey struct {
	Way    string   `json:"way" enum:"at_once,rounds,chunks,whole" doc:"All was known or came with the header; what was missing was asked for; coded chunks were collected; the whole block was asked for."`
	Known  int      `json:"known" doc:"Transactions that this node had."`
	Filled int      `json:"filled" doc:"That came unasked, behind the header."`
	Asked  int      `json:"asked" doc:"That came on request."`
	Rounds int      `json:"rounds" doc:"Of asking."`
	Wanted int      `json:"chunks_wanted" doc:"Chunks that this node asked for."`
	Chunks int      `json:"chunks" doc:"That proved."`
	Took   float64  `json:"took_ms" doc:"From the header to the whole body."`
	Sender string   `json:"sender" doc:"The peer that brought the header."`
	From   []string `json:"from,omitempty" doc:"Peers that gave a part of the body."`
}

// Block is one block of the store. Exactly one of IDs and Txs is filled. Time
// and Arrived are in unix milliseconds.
type Block struct {
	ID           wire.BlockID `json:"id"`
	Height       uint64       `json:"height"`
	Parent       wire.BlockID `json:"parent"`
	Producer     string       `json:"producer"`
	FeeRecipient string       `json:"fee_recipient"`
	Slot         uint64       `json:"slot"`
	Time         uint64       `json:"time" doc:"Unix milliseconds."`
	TxRoot       wire.Hash    `json:"tx_root"`
	TxCount      uint32       `json:"tx_count"`
	Size         int          `json:"size" doc:"Bytes of the whole block."`
	Best         bool         `json:"best" doc:"On the best chain."`
	Final        bool         `json:"final"`
	Arrived      uint64       `json:"arrived,omitempty" doc:"When this node got it, unix milliseconds; absent if not known any more."`
	Journey      *Journey     `json:"journey,omitempty" doc:"How it came; absent for an own block, one that came while catching up, and an old one."`
	IDs          []wire.TxID  `json:"ids,omitempty"`
	Txs          []Tx         `json:"txs,omitempty"`
}
