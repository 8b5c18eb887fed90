package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/wire"
	"github.com/grapevine-p2p/grapevine/wire/wirepb"
)

// field writes one field by hand, so that vectors can break every rule.
func field(num protowire.Number, v any) []byte {
	switch v := v.(type) {
	case int:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
	case uint64:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	case string:
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), []byte(v))
	case []byte:
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), v)
	}
	panic("a field is a number or bytes")
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// fill is n bytes that differ from one another.
func fill(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// padded gives a varint one byte more than it needs.
func padded(v uint64) []byte {
	b := protowire.AppendVarint(nil, v)
	b[len(b)-1] |= 0x80
	return append(b, 0)
}

// makers collects the vectors of one message.
type maker struct {
	c    codec
	list []vector
}

func (m *maker) good(name string, b []byte, fields proto.Message) {
	v := vector{Name: name, Bytes: hexOf(b), Fields: fieldsOf(fields)}
	switch m.c.name {
	case "transaction", "header", "genesis":
		sum := sha256.Sum256(b)
		v.ID = hex.EncodeToString(sum[:])
	}
	m.list = append(m.list, v)
}

func (m *maker) bad(name string, kind wire.Malformed, b []byte) { m.badText(name, kind, hexOf(b)) }

func (m *maker) badText(name string, kind wire.Malformed, text hexText) {
	m.list = append(m.list, vector{Name: name, Bytes: text, Error: kind})
}

// samples is a good message of each kind with every field set.
func samples() map[string]proto.Message {
	tx := &wirepb.Transaction{Body: oracle(sampleTxBody()), Signature: fill(0x40, 64)}
	header := &wirepb.Header{Body: oracle(sampleHeaderBody()), Signature: fill(0x80, 64)}
	other := &wirepb.Header{Body: oracle(sampleHeaderBody()), Signature: fill(0x90, 64)}
	block := &wirepb.Block{Header: header, Txs: []*wirepb.Transaction{tx, {Body: []byte("x"), Signature: make([]byte, 64)}}}
	return map[string]proto.Message{
		"transaction":      tx,
		"transaction body": sampleTxBody(),
		"header":           header,
		"header body":      sampleHeaderBody(),
		"block":            block,
		"compact block":    &wirepb.CompactBlock{Header: header, ShortIds: fill(1, 12)},
		"evidence":         &wirepb.Evidence{First: header, Second: other},
		"genesis":          sampleGenesis(),
		"hello": &wirepb.Hello{
			Network: fill(1, 32), NetworkName: "vine-1", Protocol: 1, Agent: "grapevine/0.1.0", Head: fill(2, 32), Height: 300,
			Services: 5, Clock: 1_700_000_000_123,
		},
		"sync request": &wirepb.SyncRequest{Id: 7, FromHeight: 300, Count: 16, Blocks: [][]byte{fill(1, 32), fill(2, 32)}, Headers: true},
		"sync answer": &wirepb.SyncAnswer{
			Id: 7, Status: 3, Block: oracle(block), HeadHeight: 301, Head: fill(3, 32), Headers: [][]byte{oracle(header)},
		},
		"compact request": &wirepb.CompactRequest{
			Id: 9, Block: fill(4, 32), Indexes: []uint32{0, 1, 127, 128, 39_999}, Whole: true,
		},
		"compact answer": &wirepb.CompactAnswer{Id: 9, Status: 1, Txs: [][]byte{oracle(tx)}, Block: oracle(block)},
	}
}

func sampleTxBody() *wirepb.TxBody {
	return &wirepb.TxBody{
		Version: 1, Sender: fill(1, 32), Nonce: 3, Fee: 500, ExpiresAt: 1_700_000_000_000, To: fill(2, 32), Amount: math.MaxUint64,
		Payload: []byte("grapes"),
	}
}

func sampleHeaderBody() *wirepb.HeaderBody {
	return &wirepb.HeaderBody{
		Version: 1, Height: 12, Parent: fill(1, 32), Producer: fill(2, 32), FeeRecipient: fill(3, 32), Slot: 40, Time: 1_700_000_040_000,
		TxRoot: fill(4, 32), TxCount: 2, Size: 400, Salt: fill(5, 16), ShortIdsHash: fill(6, 32), ChunkRoot: fill(7, 32),
		ChunkData: 32, ChunkParity: 16, App: []byte("app"),
	}
}

func sampleGenesis() *wirepb.Genesis {
	return &wirepb.Genesis{
		Network: "vine-1", AddressPrefix: "gv", Time: 1_700_000_000_000, SlotMillis: 1000,
		Allocations: []*wirepb.Allocation{{Address: fill(1, 32), Amount: 1_000_000}, {Address: fill(2, 32), Amount: 1}},
		Producers:   []*wirepb.ProducerSet{{Producers: [][]byte{fill(9, 32), fill(8, 32)}}, {Height: 100, Producers: [][]byte{fill(8, 32)}}},
		Rules:       []*wirepb.RuleChange{{Version: 1}},
		Limits:      &wirepb.Limits{MinFeePerByte: 1, MaxTxBytes: 131072, MaxBlockBytes: 4194304, MaxBlockTxs: 40000, ClockToleranceMillis: 2000},
	}
}

func messageVectors(c codec) vectorFile[vector] {
	sample := samples()[c.name]
	whole := oracle(sample)
	m := &maker{c: c}
	m.good("every field set", whole, sample)
	m.brokenAnywhere(whole)
	if c.canonical {
		m.brokenCanon(whole)
	} else {
		m.tolerated(whole, sample)
	}
	special[c.name](m)
	return vectorFile[vector]{About: c.name + ": bytes in, fields or error out", Vectors: m.list}
}

// brokenAnywhere is wrong in every message.
func (m *maker) brokenAnywhere(whole []byte) {
	fields := split(whole)
	num, _, n := protowire.ConsumeTag(whole)
	m.bad("the last byte cut off", wire.Truncated, whole[:len(whole)-1])
	m.bad("ends inside a tag", wire.Truncated, cat(whole, []byte{0x80}))
	m.bad("a zero byte follows", wire.TrailingBytes, cat(whole, []byte{0}))
	m.bad("the first field twice", wire.NotCanonical, cat(fields[0], whole))
	m.bad("the first field as fixed32", wire.WrongType, cat(protowire.AppendTag(nil, num, protowire.Fixed32Type), fill(1, 4)))
	m.bad("the first field as a group", wire.WrongType, cat(
		protowire.AppendTag(nil, num, protowire.StartGroupType), protowire.AppendTag(nil, num, protowire.EndGroupType)))
	m.bad("a tag of more than 64 bits", wire.NotCanonical, bytes.Repeat([]byte{0xff}, 11))
	if whole[0]&7 == byte(protowire.BytesType) {
		m.bad("a length of 2^64-1", wire.TooLarge, cat(whole[:n], protowire.AppendVarint(nil, math.MaxUint64)))
	}
}

// brokenCanon is wrong in canonical messages only.
func (m *maker) brokenCanon(whole []byte) {
	fields := split(whole)
	num, typ, n := protowire.ConsumeTag(whole)
	m.bad("an unknown field", wire.UnknownField, cat(whole, field(100, 1)))
	m.bad("the fields backwards", wire.NotCanonical, cat(backwards(fields)...))
	m.bad("a tag longer than it need be", wire.NotCanonical, cat(padded(protowire.EncodeTag(num, typ)), whole[n:]))
	m.bad("a number longer than it need be", wire.NotCanonical, cat(whole[:n], padLeading(whole[n:])))
	switch m.c.name {
	case "genesis", "header body": // Validate demands its fields; no envelope holds nothing
	default:
		m.bad("nothing at all", wire.Missing, nil)
	}
}

func backwards(fields [][]byte) [][]byte {
	fields = slices.Clone(fields)
	slices.Reverse(fields)
	return fields
}

// padLeading gives the varint at the start of b one byte more than it needs.
func padLeading(b []byte) []byte {
	v, n := protowire.ConsumeVarint(b)
	return cat(padded(v), b[n:])
}

// tolerated is allowed in frames.
func (m *maker) tolerated(whole []byte, sample proto.Message) {
	fields := split(whole)
	num, typ, n := protowire.ConsumeTag(whole)
	m.good("an unknown number is skipped", cat(field(100, 1), whole), sample)
	m.good("unknown bytes are skipped", cat(whole, field(101, "later")), sample)
	m.good("a tag longer than it need be", cat(padded(protowire.EncodeTag(num, typ)), whole[n:]), sample)
	m.good("64 unknown fields are skipped", cat(whole, bytes.Repeat(field(100, 1), 64)), sample)
	m.bad("65 unknown fields", wire.TooMany, cat(whole, bytes.Repeat(field(100, 1), 65)))
	m.bad("an unknown field cut short", wire.Truncated, cat(whole, field(101, "later")[:5]))
	m.bad("an unknown group", wire.WrongType, cat(whole, protowire.AppendTag(nil, 100, protowire.StartGroupType)))
	if m.c.name != "sync request" && m.c.name != "compact answer" { // reversed, their lists would be
		m.good("the fields backwards", cat(backwards(fields)...), sample)
	}
}

// special is what only this message can have or get wrong.
var special = map[string]func(m *maker){
	"transaction":      (*maker).transaction,
	"transaction body": (*maker).txBody,
	"header":           (*maker).header,
	"header body":      (*maker).headerBody,
	"block":            (*maker).block,
	"compact block":    (*maker).compactBlock,
	"evidence":         (*maker).evidence,
	"genesis":          (*maker).genesis,
	"hello":            (*maker).hello,
	"sync request":     (*maker).syncRequest,
	"sync answer":      (*maker).syncAnswer,
	"compact request":  (*maker).compactRequest,
	"compact answer":   (*maker).compactAnswer,
}

func (m *maker) transaction() {
	sig := field(2, fill(1, 64))
	m.good("body of one byte, signature of zeros", cat(field(1, "x"), field(2, make([]byte, 64))),
		&wirepb.Transaction{Body: []byte("x"), Signature: make([]byte, 64)})
	room := wire.MaxTx - 66 - 4 // signature field, tag and length of the body
	largest := cat(protowire.AppendVarint([]byte{0x0a}, uint64(room)))
	sum := sha256.Sum256(cat(largest, make([]byte, room), sig))
	m.list = append(m.list, vector{
		Name: "as large as allowed", Bytes: hexOf(largest) + " " + times([]byte{0}, room) + " " + hexOf(sig), ID: hex.EncodeToString(sum[:]),
	})
	m.badText("one byte too large", wire.TooLarge,
		hexOf(protowire.AppendVarint([]byte{0x0a}, uint64(room+1)))+" "+times([]byte{0}, room+1)+" "+hexOf(sig))
	m.bad("an empty body", wire.NotCanonical, cat(field(1, ""), sig))
	m.bad("no body", wire.Missing, sig)
	m.bad("no signature", wire.Missing, field(1, "x"))
	m.bad("a signature of 63 bytes", wire.WrongLength, cat(field(1, "x"), field(2, fill(1, 63))))
	m.bad("a signature of 65 bytes", wire.WrongLength, cat(field(1, "x"), field(2, fill(1, 65))))
	m.bad("an empty signature", wire.WrongLength, cat(field(1, "x"), field(2, "")))
	m.bad("a body longer than the message", wire.Truncated, cat([]byte{0x0a, 100}, sig))
	m.bad("the signature twice", wire.NotCanonical, cat(field(1, "x"), sig, sig))
}

func (m *maker) txBody() {
	head := cat(field(1, 1), field(2, fill(1, 32)))
	m.good("the least", head, &wirepb.TxBody{Version: 1, Sender: fill(1, 32)})
	m.good("largest numbers", cat(head, field(3, uint64(math.MaxUint64)), field(4, uint64(math.MaxUint64))),
		&wirepb.TxBody{Version: 1, Sender: fill(1, 32), Nonce: math.MaxUint64, Fee: math.MaxUint64})
	m.good("a sender of zeros is written", cat(field(1, 1), field(2, make([]byte, 32))), &wirepb.TxBody{Version: 1, Sender: make([]byte, 32)})
	m.bad("version 2", wire.UnknownVersion, cat(field(1, 2), field(2, fill(1, 32))))
	m.bad("version 2 with fields of its own", wire.UnknownVersion, cat(field(1, 2), field(99, "new")))
	m.bad("version 0", wire.NotCanonical, cat(field(1, 0), field(2, fill(1, 32))))
	m.bad("version 2^32+1", wire.TooLarge, cat(field(1, uint64(1<<32+1)), field(2, fill(1, 32))))
	m.bad("no version", wire.Missing, field(2, fill(1, 32)))
	m.bad("no sender", wire.Missing, field(1, 1))
	m.bad("a sender of 31 bytes", wire.WrongLength, cat(field(1, 1), field(2, fill(1, 31))))
	m.bad("a sender of 33 bytes", wire.WrongLength, cat(field(1, 1), field(2, fill(1, 33))))
	m.bad("nonce 0 written out", wire.NotCanonical, cat(head, field(3, 0)))
	m.bad("a recipient of zeros written out", wire.NotCanonical, cat(head, field(6, make([]byte, 32))))
	m.bad("a recipient of 20 bytes", wire.WrongLength, cat(head, field(6, fill(1, 20))))
	m.bad("an empty payload written out", wire.NotCanonical, cat(head, field(8, "")))
	m.bad("a fee of more than 64 bits", wire.NotCanonical, cat(head, []byte{0x20}, bytes.Repeat([]byte{0xff}, 9), []byte{2}))
	m.bad("the amount before the fee", wire.NotCanonical, cat(head, field(7, 1), field(4, 1)))
}

func (m *maker) header() {
	body := oracle(sampleHeaderBody())
	m.bad("no signature", wire.Missing, field(1, body))
	m.bad("a signature of 63 bytes", wire.WrongLength, cat(field(1, body), field(2, fill(1, 63))))
	m.bad("a body that is none", wire.Truncated, cat(field(1, []byte{0x08}), field(2, fill(1, 64))))
	m.bad("a body of another version", wire.UnknownVersion, cat(field(1, field(1, 2)), field(2, fill(1, 64))))
	m.badText("too large", wire.TooLarge, hexOf(cat(field(1, fill(1, 2000)), field(2, fill(1, 64)))))
}

func (m *maker) headerBody() {
	with := func(change func(b *wirepb.HeaderBody)) []byte {
		b := sampleHeaderBody()
		change(b)
		return oracle(b)
	}
	least := &wirepb.HeaderBody{
		Version: 1, Parent: fill(1, 32), Producer: fill(2, 32), FeeRecipient: fill(3, 32), TxRoot: fill(4, 32), Salt: make([]byte, 16),
		ShortIdsHash: fill(6, 32),
	}
	m.good("the least", oracle(least), least)
	m.bad("version 2", wire.UnknownVersion, with(func(b *wirepb.HeaderBody) { b.Version = 2 }))
	m.bad("no version", wire.Missing, with(func(b *wirepb.HeaderBody) { b.Version = 0 }))
	m.bad("no parent", wire.Missing, with(func(b *wirepb.HeaderBody) { b.Parent = nil }))
	m.bad("no producer", wire.Missing, with(func(b *wirepb.HeaderBody) { b.Producer = nil }))
	m.bad("no fee recipient", wire.Missing, with(func(b *wirepb.HeaderBody) { b.FeeRecipient = nil }))
	m.bad("no root", wire.Missing, with(func(b *wirepb.HeaderBody) { b.TxRoot = nil }))
	m.bad("no salt", wire.Missing, with(func(b *wirepb.HeaderBody) { b.Salt = nil }))
	m.bad("a salt of 8 bytes", wire.WrongLength, with(func(b *wirepb.HeaderBody) { b.Salt = fill(1, 8) }))
	m.bad("no hash of short ids", wire.Missing, with(func(b *wirepb.HeaderBody) { b.ShortIdsHash = nil }))
	m.bad("a parent of 20 bytes", wire.WrongLength, with(func(b *wirepb.HeaderBody) { b.Parent = fill(1, 20) }))
	m.bad("a chunk root of zeros written out", wire.NotCanonical, with(func(b *wirepb.HeaderBody) { b.ChunkRoot = make([]byte, 32) }))
	m.bad("1025 bytes for the chain", wire.TooLarge, with(func(b *wirepb.HeaderBody) { b.App = make([]byte, 1025) }))
	fields := split(oracle(sampleHeaderBody()))
	fields[8] = field(9, uint64(1<<32))
	m.bad("a count of 2^32", wire.TooLarge, cat(fields...))
	fields[8] = field(9, 0)
	m.bad("a count of 0 written out", wire.NotCanonical, cat(fields...))
}

func (m *maker) block() {
	header := field(1, oracle(samples()["header"]))
	tx := oracle(samples()["transaction"])
	m.good("no transactions", header, &wirepb.Block{Header: samples()["header"].(*wirepb.Header)})
	m.bad("no header", wire.Missing, field(2, tx))
	m.bad("the header after a transaction", wire.NotCanonical, cat(field(2, tx), header))
	m.bad("an empty transaction", wire.WrongLength, cat(header, field(2, "")))
	m.bad("a transaction with an unknown field", wire.UnknownField, cat(header, field(2, cat(tx, field(3, 1)))))
	m.bad("a header with an unknown field", wire.UnknownField, field(1, cat(oracle(samples()["header"]), field(3, 1))))
	m.bad("a header of another version", wire.UnknownVersion, field(1, cat(field(1, field(1, 7)), field(2, fill(1, 64)))))
	least := field(2, cat(field(1, "x"), field(2, make([]byte, 64))))
	m.badText("40001 transactions", wire.TooMany, hexOf(header)+" "+times(least, wire.MaxBlockTxs+1))
	m.badText("two million empty transactions", wire.WrongLength, hexOf(header)+" "+times(field(2, ""), 2_000_000))
	m.badText("too large", wire.TooLarge, times([]byte{0}, wire.MaxBlock+1))
}

func (m *maker) compactBlock() {
	h := samples()["header"].(*wirepb.Header)
	header := field(1, oracle(h))
	m.good("no transactions", header, &wirepb.CompactBlock{Header: h})
	m.bad("no header", wire.Missing, field(2, fill(1, 6)))
	m.bad("short ids of 7 bytes", wire.WrongLength, cat(header, field(2, fill(1, 7))))
	m.bad("empty short ids written out", wire.NotCanonical, cat(header, field(2, "")))
	m.bad("short ids one by one", wire.NotCanonical, cat(header, field(2, fill(1, 6)), field(2, fill(2, 6))))
	n := (wire.MaxBlockTxs + 1) * 6
	m.badText("40001 short ids", wire.TooLarge, hexOf(header)+" "+hexOf(protowire.AppendVarint([]byte{0x12}, uint64(n)))+" "+times([]byte{0}, n))
}

func (m *maker) evidence() {
	h := oracle(samples()["header"])
	m.bad("one header", wire.Missing, field(3, h))
	m.bad("headers under the numbers of other messages", wire.UnknownField, cat(field(1, h), field(2, h)))
	m.bad("the second alone", wire.Missing, field(4, h))
	m.bad("an empty header", wire.NotCanonical, cat(field(3, ""), field(4, h)))
}

func (m *maker) genesis() {
	m.bad("a network name with a line break", wire.BadText, field(1, "vine\n1"))
	m.bad("a network name that is not UTF-8", wire.BadText, field(1, "\xff\xfe"))
	m.bad("a network name of 65 bytes", wire.TooLarge, field(1, strings.Repeat("v", 65)))
	m.bad("an allocation without address", wire.WrongLength, field(5, field(2, 1)))
	m.bad("an allocation of 0 written out", wire.NotCanonical, field(5, cat(field(1, fill(1, 32)), field(2, 0))))
	m.bad("a producer of 31 bytes", wire.WrongLength, field(6, field(2, fill(1, 31))))
	m.bad("an unknown field in the limits", wire.UnknownField, field(8, field(6, 1)))
	m.badText("257 producers", wire.TooMany, hexOf(protowire.AppendVarint([]byte{0x32}, 257*34))+" "+times(field(2, fill(1, 32)), 257))
	m.badText("1025 producer sets", wire.TooMany, times(field(6, ""), 1025))
	m.badText("257 rules", wire.TooMany, times(field(7, field(2, 1)), 257))
}

func (m *maker) hello() {
	least := field(1, fill(1, 32))
	m.good("the least", least, &wirepb.Hello{Network: fill(1, 32)})
	m.good("defaults written out", cat(least, field(2, ""), field(3, 0), field(5, "")), &wirepb.Hello{Network: fill(1, 32)})
	m.bad("nothing at all", wire.Missing, nil)
	m.bad("a network of 31 bytes", wire.WrongLength, field(1, fill(1, 31)))
	m.bad("an agent of 65 bytes", wire.TooLarge, cat(least, field(4, strings.Repeat("a", 65))))
	m.bad("an agent that moves the cursor", wire.BadText, cat(least, field(4, "\x1b[2J")))
	m.bad("an agent that is not UTF-8", wire.BadText, cat(least, field(4, "\xc3\x28")))
	m.bad("protocol 2^32", wire.TooLarge, cat(least, field(3, uint64(1<<32))))
	m.badText("too large", wire.TooLarge, hexOf(cat(least, []byte{0xaa, 0x06, 0xe0, 0x07}))+" "+times([]byte{0}, 992))
}

func (m *maker) syncRequest() {
	m.good("nothing at all", nil, &wirepb.SyncRequest{})
	m.bad("a block id of 31 bytes", wire.WrongLength, field(4, fill(1, 31)))
	m.badText("65 block ids", wire.TooMany, times(field(4, fill(1, 32)), 65))
	m.bad("headers is 2", wire.NotCanonical, field(5, 2))
	m.badText("too large", wire.TooLarge, times(field(100, 1), 1366))
}

func (m *maker) syncAnswer() {
	m.good("a status of a later version", field(2, 77), &wirepb.SyncAnswer{Status: 77})
	m.bad("a head of 33 bytes", wire.WrongLength, field(5, fill(1, 33)))
	m.good("two headers", cat(field(6, "a"), field(6, "b")), &wirepb.SyncAnswer{Headers: [][]byte{[]byte("a"), []byte("b")}})
	m.bad("an empty header", wire.WrongLength, field(6, ""))
	m.bad("a header of 2049 bytes", wire.TooLarge, field(6, make([]byte, wire.MaxHeader+1)))
	m.badText("513 headers", wire.TooMany, times(field(6, "h"), wire.MaxSyncHeaders+1))
	n := wire.MaxBlock + 1
	m.badText("a block too large", wire.TooLarge, hexOf(protowire.AppendVarint([]byte{0x1a}, uint64(n)))+" "+times([]byte{0}, n))
}

func (m *maker) compactRequest() {
	block := field(2, fill(4, 32))
	m.good("indexes one by one", cat(block, field(3, 1), field(3, 300)), &wirepb.CompactRequest{Block: fill(4, 32), Indexes: []uint32{1, 300}})
	m.good("indexes in two runs", cat(block, field(3, []byte{1, 2}), field(3, []byte{3})), &wirepb.CompactRequest{Block: fill(4, 32), Indexes: []uint32{1, 2, 3}})
	m.bad("no block", wire.Missing, field(1, 1))
	m.bad("an index of 2^32", wire.TooLarge, cat(block, field(3, uint64(1<<32))))
	m.bad("a run that ends inside a number", wire.Truncated, cat(block, field(3, []byte{1, 0x80})))
	m.bad("whole is 2", wire.NotCanonical, cat(block, field(4, 2)))
	m.bad("an index twice", wire.NotCanonical, cat(block, field(3, []byte{1, 1})))
	m.bad("an index below the one before", wire.NotCanonical, cat(block, field(3, []byte{2, 1})))
	m.bad("an index again in a second run", wire.NotCanonical, cat(block, field(3, []byte{1, 2}), field(3, []byte{2})))
	m.bad("an index again on its own", wire.NotCanonical, cat(block, field(3, 0), field(3, 0)))
	m.badText("the same index 40000 times", wire.NotCanonical, hexOf(block)+" "+hexOf(protowire.AppendVarint([]byte{0x1a}, 40_000))+" "+times([]byte{0}, 40_000))
}

func (m *maker) compactAnswer() {
	m.good("nothing at all", nil, &wirepb.CompactAnswer{})
	m.bad("an empty transaction", wire.WrongLength, field(3, ""))
	m.badText("two million empty transactions", wire.WrongLength, times(field(3, ""), 2_000_000))
	least := field(3, cat(field(1, "x"), field(2, make([]byte, 64))))
	m.badText("40001 transactions", wire.TooMany, times(least, wire.MaxBlockTxs+1))
}
