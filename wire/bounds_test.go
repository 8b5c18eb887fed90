package wire_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// allocated is how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestDecodingDoesNotAmplify: what a message takes from the heap while it is
// decoded, garbage included, is a small multiple of its bytes, and next to
// nothing where it announces much and holds little.
//
// R4: no allocation from an announced length or count.
func TestDecodingDoesNotAmplify(t *testing.T) {
	const errorText = 8 << 10 // an error with its text
	header := field(1, oracle(samples()["header"]))
	least := field(2, cat(field(1, "x"), field(2, make([]byte, 64))))
	fullBlock := cat(header, slices.Repeat(least, wire.MaxBlockTxs))
	require.LessOrEqual(t, len(fullBlock), wire.MaxBlock)
	hash := fill(1, 32)
	for _, c := range []struct {
		name  string
		codec func(b []byte) error
		b     []byte
		limit int
	}{
		{"a block of the smallest transactions", decodeBlock, fullBlock, 6 * len(fullBlock)},
		{"a block of empty transactions", decodeBlock, cat(header, slices.Repeat([]byte{0x12, 0}, 2_000_000)), errorText},
		{"a block over its size", decodeBlock, make([]byte, wire.MaxBlock+1), errorText},
		{"a transaction that announces much", decodeTx, cat([]byte{0x0a}, protowire.AppendVarint(nil, 1<<40)), errorText},
		{"a hello of unknown fields", decodeHello, slices.Repeat(field(100, 0), 300), errorText},
		{"a sync request of block ids", decodeSyncRequest, slices.Repeat(field(4, hash), wire.MaxSyncBlocks), 8 << 10},
		{"a sync answer of tiny headers", decodeSyncAnswer, slices.Repeat(field(6, "h"), wire.MaxSyncHeaders), 64 << 10},
		{"a sync answer of empty headers", decodeSyncAnswer, slices.Repeat(field(6, ""), 2_000_000), errorText},
		{"a compact request of indexes", decodeCompactRequest, requestFor(wire.MaxBlockTxs), 24 * wire.MaxBlockTxs},
		{"a compact answer of empty transactions", decodeCompactAnswer, slices.Repeat(field(3, ""), 2_000_000), errorText},
		{"a genesis of empty sets", decodeGenesis, slices.Repeat(field(6, ""), 1_000_000), 128 << 10},
		{"a genesis of empty allocations", decodeGenesis, slices.Repeat(field(5, ""), 1_000_000), errorText},
	} {
		took := allocated(func() { _ = c.codec(c.b) })
		require.LessOrEqual(t, took, uint64(c.limit), "%s: %d bytes", c.name, len(c.b))
	}
}

// requestFor is a compact request for the first n transactions, at its largest.
func requestFor(n int) []byte {
	indexes := make([]uint32, n)
	for i := range indexes {
		indexes[i] = uint32(i)
	}
	return (&wire.CompactRequest{ID: ^uint64(0), Block: wire.BlockID(fill(1, 32)), Indexes: indexes, Whole: true}).AppendTo(nil)
}

func decodeBlock(b []byte) error       { _, err := wire.DecodeBlock(b); return err }
func decodeTx(b []byte) error          { _, err := wire.DecodeTransaction(b); return err }
func decodeHello(b []byte) error       { _, err := wire.DecodeHello(b); return err }
func decodeSyncAnswer(b []byte) error  { _, err := wire.DecodeSyncAnswer(b); return err }
func decodeSyncRequest(b []byte) error { _, err := wire.DecodeSyncRequest(b); return err }
func decodeGenesis(b []byte) error     { _, err := wire.DecodeGenesis(b); return err }

func decodeCompactRequest(b []byte) error { _, err := wire.DecodeCompactRequest(b); return err }
func decodeCompactAnswer(b []byte) error  { _, err := wire.DecodeCompactAnswer(b); return err }

// TestTruncatedAnywhere cuts every sample at every byte. No canonical message
// with all its fields has a prefix that is one, unless its last fields are
// optional; none may panic, and none may keep a meaning it had.
func TestTruncatedAnywhere(t *testing.T) {
	for name, sample := range samples() {
		c, whole := codecOf(name), oracle(sample)
		for cut := range whole {
			b := slices.Clone(whole[:cut])
			if c.agree(t, b) {
				ours, _, err := c.decode(b)
				require.NoError(t, err)
				require.NotEqual(t, fieldsOf(sample), fieldsOf(ours), "%s cut at %d", name, cut)
			}
		}
	}
}

// TestLimitsLeaveRoom: what the format allows fits into the limits that are
// sums of others.
func TestLimitsLeaveRoom(t *testing.T) {
	b := sampleHeaderBody()
	const most = ^uint64(0)
	b.Height, b.Slot, b.Time, b.TxCount, b.Size = most, most, most, 1<<32-1, 1<<32-1
	b.ChunkData, b.ChunkParity, b.App = 1<<32-1, 1<<32-1, make([]byte, wire.MaxHeaderApp)
	header := cat(field(1, oracle(b)), field(2, make([]byte, 64)))
	_, err := wire.DecodeHeader(header)
	require.NoError(t, err, "a header of %d bytes", len(header))

	compact := cat(field(1, header), field(2, make([]byte, 6*wire.MaxBlockTxs)))
	_, err = wire.DecodeCompactBlock(compact)
	require.NoError(t, err, "a compact block of %d bytes", len(compact))

	full := make([]byte, wire.MaxHeader)
	require.LessOrEqual(t, len(cat(field(3, full), field(4, full))), wire.MaxEvidence)

	hash := fill(1, 32)
	block := make([]byte, wire.MaxBlock)
	answer := (&wire.SyncAnswer{ID: most, Status: 1<<32 - 1, Block: block, HeadHeight: most, Head: wire.BlockID(hash)}).AppendTo(nil)
	require.LessOrEqual(t, len(answer), wire.MaxSyncAnswer)
	require.LessOrEqual(t, len(cat(slices.Repeat(field(6, full), wire.MaxSyncHeaders))), wire.MaxSyncAnswer)
	request := (&wire.SyncRequest{ID: most, FromHeight: most, Count: 1<<32 - 1, Blocks: make([]wire.BlockID, wire.MaxSyncBlocks), Headers: true}).AppendTo(nil)
	require.LessOrEqual(t, len(request), wire.MaxSyncRequest)
	compactRequest := requestFor(wire.MaxBlockTxs)
	require.LessOrEqual(t, len(compactRequest), wire.MaxCompactRequest)
	again, err := wire.DecodeCompactRequest(compactRequest)
	require.NoError(t, err)
	require.Len(t, again.Indexes, wire.MaxBlockTxs)
	_, err = wire.DecodeCompactRequest(requestFor(wire.MaxBlockTxs + 1))
	require.ErrorIs(t, err, wire.TooMany)

	hello := wire.Hello{
		Network: wire.NetworkID(hash), NetworkName: string(make([]byte, wire.MaxNetworkName)), Protocol: 1<<32 - 1,
		Agent: string(make([]byte, wire.MaxAgent)), Head: wire.BlockID(hash), Height: most, Services: most, Clock: most,
	}
	require.LessOrEqual(t, len(hello.AppendTo(nil)), wire.MaxHello)
	require.Len(t, cat(field(1, "x"), field(2, make([]byte, 64))), wire.MinTx)
}
