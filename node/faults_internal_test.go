package node

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R136: a producer that signs a body that is not valid, or chunks of another, is shown with
// the block; what merely did not come says nothing of it.
func TestBadBodiesAreTheProducers(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	b.at(20)
	g, key := b.Genesis(), b.keys[2]
	tx := b.payment(7, 1_000) // leaves a gap
	block := &wire.Block{Txs: []*wire.Transaction{tx}}
	header, err := b.chain.checker.Header(context.Background(), b.clock, wire.SignHeader(g.ID(), key, &wire.HeaderBody{
		Version: 1, Height: 1, Parent: b.chain.Head().ID, Producer: keyfile.Address(key), FeeRecipient: keyfile.Address(key),
		Slot: 2, Time: g.SlotStart(2), TxCount: 1, Size: uint32(tx.Size()), TxRoot: wire.TxRoot(block.TxIDs()),
		ShortIDsHash: wire.ShortIDsHash(wire.ShortIDs(wire.Salt{}, block.TxIDs())),
	}), validation.Sync)
	require.NoError(t, err)
	checked, err := b.chain.checker.Block(header, []validation.Part{{Tx: tx}})
	require.NoError(t, err)
	refused := b.chain.AddBlock(t.Context(), checked, "peer")
	require.ErrorIs(t, refused, validation.BadBlock)

	sub := b.Backend().Subscribe(nil)
	hooks := b.events.hooks()
	hooks.BlockFailed(header, fmt.Errorf("nobody gave it: %w", validation.Unavailable))
	list, err := b.Backend().ProducerFaults(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	hooks.BlockFailed(header, refused)
	hooks.BlockAccused(header, compact.BadCoding)
	list, err = b.Backend().ProducerFaults(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	want := api.ProducerFault{
		Producer: keyfile.Address(key).Encode(g.AddressPrefix), Slot: 2, Height: 1, Block: header.ID(),
		Fault: api.InvalidBody, Why: refused.Error(), Found: validation.UnixMillis(b.clock),
	}
	require.Equal(t, want, list[0])
	require.Equal(t, api.OtherChunks, list[1].Fault)
	require.Equal(t, []api.Kind{api.ProducerFaultKnown, api.ProducerFaultKnown}, kinds(t, sub))
	status, err := b.Backend().Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, status.ProducerFaults)
	rec := httptest.NewRecorder()
	b.events.metrics.handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{`blocks_failed_total{why="invalid"} 1`, `blocks_failed_total{why="missing"} 1`, "block_chunks_refuted_total 1"} {
		require.Contains(t, rec.Body.String(), "grapevine_"+line+"\n")
	}
}

// R136: the faults that are remembered are bounded, and one producer's do not displace those of others.
func TestProducerFaultsAreBounded(t *testing.T) {
	var f faults
	f.note(api.ProducerFault{Producer: "rare", Slot: 1})
	for i := range uint64(100) {
		f.note(api.ProducerFault{Producer: "often", Slot: i})
	}
	require.Len(t, f.list(), 1+faultsOfOne)
	require.Equal(t, "rare", f.list()[0].Producer)
	require.EqualValues(t, 99, f.list()[faultsOfOne].Slot)
	for i := range 2 * maxFaults {
		f.note(api.ProducerFault{Producer: fmt.Sprint(i)})
	}
	require.Len(t, f.list(), maxFaults)
}
