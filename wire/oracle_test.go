package wire_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
	"github.com/grapevine-p2p/grapevine/wire/wirepb"
)

// oracle encodes with the generated code, which shares nothing with ours.
func oracle(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree decodes b with both codecs. Whatever ours accepts, the generated one
// must read as the same fields; a canonical message must also be the one byte
// form of both, and a frame must decode to the same again.
func (c codec) agree(t failer, b []byte) (accepted bool) {
	t.Helper()
	ours, again, err := c.decode(b)
	if err != nil {
		return false
	}
	theirs := c.empty()
	if err := (proto.UnmarshalOptions{DiscardUnknown: !c.canonical}).Unmarshal(b, theirs); err != nil {
		t.Fatalf("%s: accepted what the schema's code refuses: %v\n%x", c.name, err, b)
	}
	if !c.canonical {
		dropZeros(theirs)
	}
	if !proto.Equal(ours, theirs) {
		t.Fatalf("%s: other fields than the schema's code reads\nours   %v\ntheirs %v\n%x", c.name, ours, theirs, b)
	}
	if c.canonical {
		if !bytes.Equal(again, b) {
			t.Fatalf("%s: two byte forms\n in %x\nout %x", c.name, b, again)
		}
		if marshalled := oracle(theirs); !bytes.Equal(marshalled, b) {
			t.Fatalf("%s: the schema's code has another byte form\n in %x\nout %x", c.name, b, marshalled)
		}
		return true
	}
	if marshalled := oracle(ours); !bytes.Equal(marshalled, again) {
		t.Fatalf("%s: encoded unlike the schema's code\nours   %x\ntheirs %x", c.name, again, marshalled)
	}
	twice, _, err := c.decode(again)
	if err != nil || !proto.Equal(ours, twice) {
		t.Fatalf("%s: does not decode to itself: %v\n%x", c.name, err, again)
	}
	return true
}

// dropZeros clears an optional id of zeros: in a frame it counts as absent.
func dropZeros(m proto.Message) {
	switch m := m.(type) {
	case *wirepb.Hello:
		m.Head = optional(m.Head)
	case *wirepb.SyncAnswer:
		m.Head = optional(m.Head)
	}
}

// draw makes a message with fields that the format allows.
func draw(t *rapid.T, name string) proto.Message {
	switch name {
	case "transaction":
		return drawTx(t)
	case "transaction body":
		return &wirepb.TxBody{
			Version: 1, Sender: drawBytes(t, 32), Nonce: drawUint(t), Fee: drawUint(t), ExpiresAt: drawUint(t),
			To: optional(drawMaybe(t, 32)), Amount: drawUint(t), Payload: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"),
		}
	case "header":
		return drawHeader(t)
	case "header body":
		return drawHeaderBody(t)
	case "block":
		m := &wirepb.Block{Header: drawHeader(t)}
		for range rapid.IntRange(0, 4).Draw(t, "txs") {
			m.Txs = append(m.Txs, drawTx(t))
		}
		return m
	case "compact block":
		return &wirepb.CompactBlock{Header: drawHeader(t), ShortIds: drawBytes(t, 6*rapid.IntRange(0, 9).Draw(t, "ids"))}
	case "evidence":
		return &wirepb.Evidence{First: drawHeader(t), Second: drawHeader(t)}
	case "genesis":
		return drawGenesis(t)
	case "hello":
		return &wirepb.Hello{
			Network: drawBytes(t, 32), NetworkName: drawText(t, 64), Protocol: rapid.Uint32().Draw(t, "protocol"), Agent: drawText(t, 64),
			Head: optional(drawMaybe(t, 32)), Height: drawUint(t), Services: drawUint(t), Clock: drawUint(t),
		}
	case "sync request":
		m := &wirepb.SyncRequest{Id: drawUint(t), FromHeight: drawUint(t), Count: rapid.Uint32().Draw(t, "count"), Headers: rapid.Bool().Draw(t, "headers")}
		for range rapid.IntRange(0, 64).Draw(t, "blocks") {
			m.Blocks = append(m.Blocks, drawBytes(t, 32))
		}
		return m
	case "sync answer":
		m := &wirepb.SyncAnswer{
			Id: drawUint(t), Status: rapid.Uint32().Draw(t, "status"), Block: rapid.SliceOf(rapid.Byte()).Draw(t, "block"),
			HeadHeight: drawUint(t), Head: optional(drawMaybe(t, 32)),
		}
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			m.Headers = append(m.Headers, oracle(drawHeader(t)))
		}
		return m
	case "compact request":
		return &wirepb.CompactRequest{
			Id: drawUint(t), Block: drawBytes(t, 32), Indexes: drawRising(t, "indexes"),
			Whole: rapid.Bool().Draw(t, "whole"),
		}
	case "compact answer":
		m := &wirepb.CompactAnswer{Id: drawUint(t), Status: rapid.Uint32().Draw(t, "status"), Block: rapid.SliceOf(rapid.Byte()).Draw(t, "block")}
		for range rapid.IntRange(0, 4).Draw(t, "txs") {
			m.Txs = append(m.Txs, oracle(drawTx(t)))
		}
		return m
	}
	panic("no generator for " + name)
}

func drawUint(t *rapid.T) uint64 { return rapid.Uint64().Draw(t, "uint64") }

func drawBytes(t *rapid.T, n int) []byte {
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
}

// drawRising draws numbers each of which is greater than the one before.
func drawRising(t *rapid.T, label string) []uint32 {
	list := rapid.SliceOfDistinct(rapid.Uint32(), rapid.ID[uint32]).Draw(t, label)
	slices.Sort(list)
	return list
}

func drawMaybe(t *rapid.T, n int) []byte {
	if rapid.Bool().Draw(t, "absent") {
		return nil
	}
	return drawBytes(t, n)
}

func drawText(t *rapid.T, limit int) string {
	return rapid.StringMatching(`[a-z0-9 /.äλ語-]{0,16}`).Filter(func(s string) bool { return len(s) <= limit }).Draw(t, "text")
}

func drawTx(t *rapid.T) *wirepb.Transaction {
	return &wirepb.Transaction{Body: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "body"), Signature: drawBytes(t, 64)}
}

func drawHeader(t *rapid.T) *wirepb.Header {
	return &wirepb.Header{Body: oracle(drawHeaderBody(t)), Signature: drawBytes(t, 64)}
}

func drawHeaderBody(t *rapid.T) *wirepb.HeaderBody {
	return &wirepb.HeaderBody{
		Version: 1, Height: drawUint(t), Parent: drawBytes(t, 32), Producer: drawBytes(t, 32), FeeRecipient: drawBytes(t, 32),
		Slot: drawUint(t), Time: drawUint(t), TxRoot: drawBytes(t, 32), TxCount: rapid.Uint32().Draw(t, "tx_count"),
		Size: rapid.Uint32().Draw(t, "size"), Salt: drawBytes(t, 16), ShortIdsHash: drawBytes(t, 32),
		ChunkRoot: optional(drawMaybe(t, 32)), ChunkData: rapid.Uint32().Draw(t, "chunk_data"),
		ChunkParity: rapid.Uint32().Draw(t, "chunk_parity"), App: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "app"),
	}
}

func drawGenesis(t *rapid.T) *wirepb.Genesis {
	m := &wirepb.Genesis{
		Network: drawText(t, 64), AddressPrefix: rapid.StringMatching(`[a-z][a-z0-9]{0,15}`).Draw(t, "prefix"),
		Time: drawUint(t), SlotMillis: rapid.Uint32().Draw(t, "slot_millis"),
		Limits: &wirepb.Limits{MinFeePerByte: 1 + drawUint(t)/2, MaxTxBytes: rapid.Uint32().Draw(t, "max_tx_bytes")},
	}
	for range rapid.IntRange(0, 3).Draw(t, "allocations") {
		m.Allocations = append(m.Allocations, &wirepb.Allocation{Address: drawBytes(t, 32), Amount: drawUint(t)})
	}
	for range rapid.IntRange(0, 3).Draw(t, "sets") {
		set := &wirepb.ProducerSet{Height: drawUint(t)}
		for range rapid.IntRange(0, 3).Draw(t, "producers") {
			set.Producers = append(set.Producers, drawBytes(t, 32))
		}
		m.Producers = append(m.Producers, set)
	}
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		m.Rules = append(m.Rules, &wirepb.RuleChange{Height: drawUint(t), Version: rapid.Uint32().Draw(t, "version")})
	}
	return m
}

// TestAcceptsTheOracle: what the schema's code makes of allowed fields, we
// accept and read as the same fields.
func TestAcceptsTheOracle(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := draw(t, c.name)
				b := oracle(m)
				ours, _, err := c.decode(b)
				if err != nil {
					t.Fatalf("refused: %v\n%x", err, b)
				}
				if !proto.Equal(ours, m) {
					t.Fatalf("other fields\nours   %v\ntheirs %v", ours, m)
				}
				c.agree(t, b)
			})
		})
	}
}

// TestAgreesUnderMutation damages good messages a little: almost all are
// refused, and the rest must still have one meaning and one form.
//
// R1: what decodes is the canonical form.
func TestAgreesUnderMutation(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				b := oracle(draw(t, c.name))
				for range rapid.IntRange(1, 3).Draw(t, "mutations") {
					b = mutate(t, b)
				}
				c.agree(t, b)
			})
		})
	}
}

// mutate changes a byte, cuts, inserts or repeats a piece, or shuffles fields.
func mutate(t *rapid.T, b []byte) []byte {
	if len(b) == 0 {
		return []byte{rapid.Byte().Draw(t, "byte")}
	}
	b = bytes.Clone(b)
	at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		return b
	case 1:
		return b[:at]
	case 2:
		return slices.Insert(b, at, rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "insert")...)
	case 3:
		end := rapid.IntRange(at, len(b)).Draw(t, "end")
		return slices.Insert(b, end, bytes.Clone(b[at:end])...)
	case 4:
		fields := split(b)
		if len(fields) == 0 {
			return b
		}
		return slices.Concat(rapid.Permutation(fields).Draw(t, "order")...)
	default: // a field at a place where it may be the right one
		num := rapid.Int32Range(1, 20).Draw(t, "number")
		v := rapid.Uint64Range(0, 2).Draw(t, "value")
		return protowire.AppendVarint(protowire.AppendTag(b, protoreflect.FieldNumber(num), protowire.VarintType), v)
	}
}

// split cuts a message into its fields; nil if it is not made of fields.
func split(b []byte) (fields [][]byte) {
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return nil
		}
		fields = append(fields, b[:n])
		b = b[n:]
	}
	return fields
}

// TestIDsCoverEveryByte: an id is the hash of the bytes as carried, and bytes
// once decoded are never written anew.
//
// R2: an id covers every byte as carried.
func TestIDsCoverEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := oracle(drawTx(t))
		tx, err := wire.DecodeTransaction(b)
		if err != nil {
			t.Fatal(err)
		}
		damaged := mutate(t, b)
		if other, err := wire.DecodeTransaction(damaged); err == nil && !bytes.Equal(b, damaged) && other.ID() == tx.ID() {
			t.Fatalf("one id for two transactions\n%x\n%x", b, damaged)
		}
	})
}
