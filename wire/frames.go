package wire

import "google.golang.org/protobuf/encoding/protowire"

// Hello is the first message on a connection, in both directions.
type Hello struct {
	Network     NetworkID
	NetworkName string // for people: a wrong network is told by name
	Protocol    uint32
	Agent       string // for people: the peer's software
	Head        BlockID
	Height      uint64
	Services    uint64 // bit set
	Clock       uint64 // unix milliseconds at the sender
}

// DecodeHello ignores unknown fields.
func DecodeHello(b []byte) (*Hello, error) {
	h := new(Hello)
	r := frameReader("hello", b, MaxHello)
	for r.next() {
		switch r.num {
		case 1:
			r.fixed("network", h.Network[:])
		case 2:
			h.NetworkName = r.text("network_name", MaxNetworkName)
		case 3:
			h.Protocol = r.uint32("protocol")
		case 4:
			h.Agent = r.text("agent", MaxAgent)
		case 5:
			r.optional("head", h.Head[:])
		case 6:
			h.Height = r.uint64("height")
		case 7:
			h.Services = r.uint64("services")
		case 8:
			h.Clock = r.uint64("clock")
		default:
			r.skip()
		}
	}
	r.require(1, "network")
	if r.err != nil {
		return nil, r.err
	}
	return h, nil
}

// AppendTo appends the frame.
func (h *Hello) AppendTo(dst []byte) []byte {
	dst = appendAlways(dst, 1, h.Network[:])
	dst = appendBytes(dst, 2, []byte(h.NetworkName))
	dst = appendUint(dst, 3, uint64(h.Protocol))
	dst = appendBytes(dst, 4, []byte(h.Agent))
	dst = appendOptional(dst, 5, h.Head[:])
	dst = appendUint(dst, 6, h.Height)
	dst = appendUint(dst, 7, h.Services)
	return appendUint(dst, 8, h.Clock)
}

// Status of an answer.
const (
	StatusOK       = 0
	StatusNotFound = 1
	StatusBusy     = 2 // ask later, or ask somebody else
	StatusEnd      = 3 // no more answers to this request
)

// SyncRequest asks for blocks, by height range of the answerer's best chain
// or by id; or for the headers of that chain, from a height or from where it
// parts from the asker's.
type SyncRequest struct {
	ID         uint64 // repeated by the answers
	FromHeight uint64
	Count      uint32
	Blocks     []BlockID // up to MaxSyncBlocks; with Headers, a locator
	Headers    bool
}

// LocatorHeight is the height of block i of a locator whose first is at from.
func LocatorHeight(from uint64, i int) uint64 {
	return from - min(from, uint64(1)<<i-1)
}

// DecodeSyncRequest ignores unknown fields.
func DecodeSyncRequest(b []byte) (*SyncRequest, error) {
	q := new(SyncRequest)
	r := frameReader("sync request", b, MaxSyncRequest)
	for r.next() {
		switch r.num {
		case 1:
			q.ID = r.uint64("id")
		case 2:
			q.FromHeight = r.uint64("from_height")
		case 3:
			q.Count = r.uint32("count")
		case 4:
			id := r.element("blocks", len(q.Blocks), MaxSyncBlocks, len(BlockID{}), len(BlockID{}))
			if r.err == nil {
				q.Blocks = append(q.Blocks, BlockID(id))
			}
		case 5:
			q.Headers = r.bool("headers")
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return q, nil
}

// AppendTo appends the frame.
func (q *SyncRequest) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, q.ID)
	dst = appendUint(dst, 2, q.FromHeight)
	dst = appendUint(dst, 3, uint64(q.Count))
	for i := range q.Blocks {
		dst = appendAlways(dst, 4, q.Blocks[i][:])
	}
	return appendUint(dst, 5, boolUint(q.Headers))
}

// SyncAnswer is one of a stream of answers, the last of which has StatusEnd.
type SyncAnswer struct {
	ID         uint64
	Status     uint32
	Block      []byte // one encoded Block
	HeadHeight uint64 // of the answerer
	Head       BlockID
	Headers    [][]byte // encoded headers, up to MaxSyncHeaders
}

// DecodeSyncAnswer ignores unknown fields and decodes neither the block nor the
// headers, which are slices of b.
func DecodeSyncAnswer(b []byte) (*SyncAnswer, error) {
	a := new(SyncAnswer)
	r := frameReader("sync answer", b, MaxSyncAnswer)
	for r.next() {
		switch r.num {
		case 1:
			a.ID = r.uint64("id")
		case 2:
			a.Status = r.uint32("status")
		case 3:
			a.Block = r.bytes("block", MaxBlock)
		case 4:
			a.HeadHeight = r.uint64("head_height")
		case 5:
			r.optional("head", a.Head[:])
		case 6:
			h := r.element("headers", len(a.Headers), MaxSyncHeaders, 1, MaxHeader)
			if r.err == nil {
				a.Headers = append(a.Headers, h)
			}
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}

// AppendTo appends the frame.
func (a *SyncAnswer) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, a.ID)
	dst = appendUint(dst, 2, uint64(a.Status))
	dst = appendBytes(dst, 3, a.Block)
	dst = appendUint(dst, 4, a.HeadHeight)
	dst = appendOptional(dst, 5, a.Head[:])
	for _, h := range a.Headers {
		dst = appendAlways(dst, 6, h)
	}
	return dst
}

// CompactRequest asks for transactions of a block by their place in it, or
// for the whole block.
type CompactRequest struct {
	ID      uint64
	Block   BlockID
	Indexes []uint32 // up to MaxBlockTxs, each greater than the one before
	Whole   bool
}

// DecodeCompactRequest ignores unknown fields. Indexes that repeat or fall are
// refused: with them a few bytes could ask for one transaction many times over.
// Whether they are within the block is not checked.
func DecodeCompactRequest(b []byte) (*CompactRequest, error) {
	q := new(CompactRequest)
	r := frameReader("compact request", b, MaxCompactRequest)
	for r.next() {
		switch r.num {
		case 1:
			q.ID = r.uint64("id")
		case 2:
			r.fixed("block", q.Block[:])
		case 3:
			q.Indexes = r.rising("indexes", q.Indexes, MaxBlockTxs)
		case 4:
			q.Whole = r.bool("whole")
		default:
			r.skip()
		}
	}
	r.require(2, "block")
	if r.err != nil {
		return nil, r.err
	}
	return q, nil
}

// AppendTo appends the frame.
func (q *CompactRequest) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, q.ID)
	dst = appendAlways(dst, 2, q.Block[:])
	if len(q.Indexes) > 0 {
		size := 0
		for _, i := range q.Indexes {
			size += protowire.SizeVarint(uint64(i))
		}
		dst = protowire.AppendTag(dst, 3, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(size))
		for _, i := range q.Indexes {
			dst = protowire.AppendVarint(dst, uint64(i))
		}
	}
	return appendUint(dst, 4, boolUint(q.Whole))
}

func boolUint(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// CompactAnswer carries the transactions asked for, in the order asked, or
// the whole block.
type CompactAnswer struct {
	ID     uint64
	Status uint32
	Txs    [][]byte // encoded transactions
	Block  []byte   // one encoded Block
}

// DecodeCompactAnswer ignores unknown fields and decodes neither transactions
// nor block, which are slices of b.
func DecodeCompactAnswer(b []byte) (*CompactAnswer, error) {
	a := new(CompactAnswer)
	r := frameReader("compact answer", b, MaxCompactAnswer)
	for r.next() {
		switch r.num {
		case 1:
			a.ID = r.uint64("id")
		case 2:
			a.Status = r.uint32("status")
		case 3:
			tx := r.element("txs", len(a.Txs), MaxBlockTxs, MinTx, MaxTx)
			if r.err == nil {
				a.Txs = append(a.Txs, tx)
			}
		case 4:
			a.Block = r.bytes("block", MaxBlock)
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}

// AppendTo appends the frame.
func (a *CompactAnswer) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, a.ID)
	dst = appendUint(dst, 2, uint64(a.Status))
	for _, tx := range a.Txs {
		dst = appendAlways(dst, 3, tx)
	}
	return appendBytes(dst, 4, a.Block)
}

// rising takes one packed run, or one unpacked entry, of a repeated field that
// already has the values of list, each of which is greater than the one before.
func (r *reader) rising(field string, list []uint32, maxCount int) []uint32 {
	run := *r
	switch r.typ {
	case protowire.VarintType:
		if _, ok := r.varint(field); !ok {
			return nil
		}
		run.rest = run.rest[:len(run.rest)-len(r.rest)]
	case protowire.BytesType:
		run.rest = r.span(field, len(r.rest))
	default:
		r.fail(field, WrongType)
	}
	for r.err == nil && len(run.rest) > 0 {
		v, ok := run.varint(field)
		switch {
		case !ok:
			r.err = run.err
		case v > 1<<32-1:
			r.fail(field, TooLarge)
		case len(list) >= maxCount:
			r.fail(field, TooMany)
		case len(list) > 0 && uint32(v) <= list[len(list)-1]:
			r.fail(field, NotCanonical)
		default:
			list = append(list, uint32(v))
		}
	}
	return list
}
