package wire_test

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/wire"
	"github.com/grapevine-p2p/grapevine/wire/wirepb"
)

// A codec ties one message of this package to the code that was generated
// from the schema, so that the tests can hold all of them against it.
type codec struct {
	name      string
	canonical bool
	empty     func() proto.Message
	// decode returns the message in its generated form, field by field, and
	// its bytes when encoded again.
	decode func(b []byte) (m proto.Message, again []byte, err error)
}

var codecs = []codec{
	{"transaction", true, func() proto.Message { return new(wirepb.Transaction) }, func(b []byte) (proto.Message, []byte, error) {
		t, err := wire.DecodeTransaction(b)
		if err != nil {
			return nil, nil, err
		}
		return txPB(t), wire.NewTransaction(t.Body(), t.Signature()).Bytes(), nil
	}},
	{"transaction body", true, func() proto.Message { return new(wirepb.TxBody) }, func(b []byte) (proto.Message, []byte, error) {
		t, err := wire.DecodeTxBody(b)
		if err != nil {
			return nil, nil, err
		}
		return txBodyPB(t), t.AppendTo(nil), nil
	}},
	{"header", true, func() proto.Message { return new(wirepb.Header) }, func(b []byte) (proto.Message, []byte, error) {
		h, err := wire.DecodeHeader(b)
		if err != nil {
			return nil, nil, err
		}
		return headerPB(h), wire.NewHeader(h.Body(), h.Signature()).Bytes(), nil
	}},
	{"header body", true, func() proto.Message { return new(wirepb.HeaderBody) }, func(b []byte) (proto.Message, []byte, error) {
		h, err := wire.DecodeHeader(envelope(b))
		if err != nil {
			return nil, nil, err
		}
		return headerBodyPB(h.Body()), h.Body().AppendTo(nil), nil
	}},
	{"block", true, func() proto.Message { return new(wirepb.Block) }, func(b []byte) (proto.Message, []byte, error) {
		block, err := wire.DecodeBlock(b)
		if err != nil {
			return nil, nil, err
		}
		m := &wirepb.Block{Header: headerPB(block.Header)}
		for _, tx := range block.Txs {
			m.Txs = append(m.Txs, txPB(tx))
		}
		return m, block.AppendTo(nil), nil
	}},
	{"compact block", true, func() proto.Message { return new(wirepb.CompactBlock) }, func(b []byte) (proto.Message, []byte, error) {
		c, err := wire.DecodeCompactBlock(b)
		if err != nil {
			return nil, nil, err
		}
		m := &wirepb.CompactBlock{Header: headerPB(c.Header)}
		for _, id := range c.ShortIDs {
			m.ShortIds = append(m.ShortIds, id[:]...)
		}
		return m, c.AppendTo(nil), nil
	}},
	{"evidence", true, func() proto.Message { return new(wirepb.Evidence) }, func(b []byte) (proto.Message, []byte, error) {
		e, err := wire.DecodeEvidence(b)
		if err != nil {
			return nil, nil, err
		}
		return &wirepb.Evidence{First: headerPB(e.First), Second: headerPB(e.Second)}, e.AppendTo(nil), nil
	}},
	{"genesis", true, func() proto.Message { return new(wirepb.Genesis) }, func(b []byte) (proto.Message, []byte, error) {
		g, err := wire.DecodeGenesis(b)
		if err != nil {
			return nil, nil, err
		}
		return genesisPB(g), g.AppendTo(nil), nil
	}},
	{"hello", false, func() proto.Message { return new(wirepb.Hello) }, func(b []byte) (proto.Message, []byte, error) {
		h, err := wire.DecodeHello(b)
		if err != nil {
			return nil, nil, err
		}
		return &wirepb.Hello{
			Network: h.Network[:], NetworkName: h.NetworkName, Protocol: h.Protocol, Agent: h.Agent, Head: optional(h.Head[:]),
			Height: h.Height, Services: h.Services, Clock: h.Clock,
		}, h.AppendTo(nil), nil
	}},
	{"sync request", false, func() proto.Message { return new(wirepb.SyncRequest) }, func(b []byte) (proto.Message, []byte, error) {
		q, err := wire.DecodeSyncRequest(b)
		if err != nil {
			return nil, nil, err
		}
		m := &wirepb.SyncRequest{Id: q.ID, FromHeight: q.FromHeight, Count: q.Count, Headers: q.Headers}
		for _, id := range q.Blocks {
			m.Blocks = append(m.Blocks, id[:])
		}
		return m, q.AppendTo(nil), nil
	}},
	{"sync answer", false, func() proto.Message { return new(wirepb.SyncAnswer) }, func(b []byte) (proto.Message, []byte, error) {
		a, err := wire.DecodeSyncAnswer(b)
		if err != nil {
			return nil, nil, err
		}
		m := &wirepb.SyncAnswer{Id: a.ID, Status: a.Status, Block: a.Block, HeadHeight: a.HeadHeight, Head: optional(a.Head[:]), Headers: a.Headers}
		return m, a.AppendTo(nil), nil
	}},
	{"compact request", false, func() proto.Message { return new(wirepb.CompactRequest) }, func(b []byte) (proto.Message, []byte, error) {
		q, err := wire.DecodeCompactRequest(b)
		if err != nil {
			return nil, nil, err
		}
		return &wirepb.CompactRequest{Id: q.ID, Block: q.Block[:], Indexes: q.Indexes, Whole: q.Whole}, q.AppendTo(nil), nil
	}},
	{"compact answer", false, func() proto.Message { return new(wirepb.CompactAnswer) }, func(b []byte) (proto.Message, []byte, error) {
		a, err := wire.DecodeCompactAnswer(b)
		if err != nil {
			return nil, nil, err
		}
		return &wirepb.CompactAnswer{Id: a.ID, Status: a.Status, Txs: a.Txs, Block: a.Block}, a.AppendTo(nil), nil
	}},
}

func codecOf(name string) codec {
	for _, c := range codecs {
		if c.name == name {
			return c
		}
	}
	panic("no codec for " + name)
}

// envelope puts a header body before a signature of zeros.
func envelope(body []byte) []byte {
	b := protowire.AppendTag(nil, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, body)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendBytes(b, make([]byte, 64))
}

// optional is nil for zeros, as an optional field on the wire.
func optional(b []byte) []byte {
	for _, x := range b {
		if x != 0 {
			return b
		}
	}
	return nil
}

func txPB(t *wire.Transaction) *wirepb.Transaction {
	sig := t.Signature()
	return &wirepb.Transaction{Body: t.Body(), Signature: sig[:]}
}

func txBodyPB(b *wire.TxBody) *wirepb.TxBody {
	return &wirepb.TxBody{
		Version: b.Version, Sender: b.Sender[:], Nonce: b.Nonce, Fee: b.Fee, ExpiresAt: b.ExpiresAt, To: optional(b.To[:]),
		Amount: b.Amount, Payload: b.Payload,
	}
}

func headerPB(h *wire.Header) *wirepb.Header {
	sig := h.Signature()
	return &wirepb.Header{Body: h.Body().AppendTo(nil), Signature: sig[:]}
}

func headerBodyPB(b *wire.HeaderBody) *wirepb.HeaderBody {
	return &wirepb.HeaderBody{
		Version: b.Version, Height: b.Height, Parent: b.Parent[:], Producer: b.Producer[:], FeeRecipient: b.FeeRecipient[:],
		Slot: b.Slot, Time: b.Time, TxRoot: b.TxRoot[:], TxCount: b.TxCount, Size: b.Size, Salt: b.Salt[:],
		ShortIdsHash: b.ShortIDsHash[:], ChunkRoot: optional(b.ChunkRoot[:]), ChunkData: b.ChunkData, ChunkParity: b.ChunkParity, App: b.App,
	}
}

func genesisPB(g *wire.Genesis) *wirepb.Genesis {
	m := &wirepb.Genesis{
		Network: g.Network, AddressPrefix: g.AddressPrefix, Time: g.Time, SlotMillis: g.SlotMillis,
		Limits: &wirepb.Limits{
			MinFeePerByte: g.Limits.MinFeePerByte, MaxTxBytes: g.Limits.MaxTxBytes, MaxBlockBytes: g.Limits.MaxBlockBytes,
			MaxBlockTxs: g.Limits.MaxBlockTxs, ClockToleranceMillis: g.Limits.ClockToleranceMillis,
		},
	}
	if g.Limits == (wire.Limits{}) {
		m.Limits = nil
	}
	for _, a := range g.Allocations {
		m.Allocations = append(m.Allocations, &wirepb.Allocation{Address: a.Address[:], Amount: a.Amount})
	}
	for _, set := range g.Producers {
		s := &wirepb.ProducerSet{Height: set.Height}
		for _, p := range set.Producers {
			s.Producers = append(s.Producers, p[:])
		}
		m.Producers = append(m.Producers, s)
	}
	for _, r := range g.Rules {
		m.Rules = append(m.Rules, &wirepb.RuleChange{Height: r.Height, Version: r.Version})
	}
	return m
}
