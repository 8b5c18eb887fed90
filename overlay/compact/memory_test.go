package compact_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// inUse is the memory that cannot be given back.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// R185: whatever their kind and however small, the frames of a link that wait for the header of
// their block hold no more memory than is allowed.
func TestEarlyFramesAreCountedAsTheyAreHeld(t *testing.T) {
	id := wire.BlockID{1}
	pad := field(15, bytes.Repeat([]byte{0xff}, 250))
	all := make([]byte, 2*wire.MaxBlockTxs)[:0]
	for i := range uint64(8_000) {
		all = append(all, number(1, i)[1:]...)
	}
	var places, txs []byte
	for i := range uint64(127) {
		places = append(places, byte(i))
		txs = append(txs, field(4, make([]byte, wire.MinTx))...)
	}
	for name, raw := range map[string][]byte{
		"a byte of a chunk":      field(20, field(1, id[:]), field(3, []byte{1})),
		"unknown fields":         field(20, field(1, id[:]), field(3, []byte{1}), pad),
		"a large chunk":          field(20, field(1, id[:]), field(3, make([]byte, 20_000)), pad),
		"an ask for many":        field(16, field(1, id[:]), number(2, 1), field(3, all), pad),
		"an ask for one":         field(16, field(1, id[:]), number(2, 1), field(3, []byte{0})),
		"the least transactions": field(17, field(1, id[:]), field(3, places), txs, pad),
		"an empty fill":          field(17, field(1, id[:])),
		"have":                   field(18, field(1, id[:])),
	} {
		s := newStage(t, none, "a")
		before := inUse()
		for range 10_000 {
			f, err := compact.Decode(bytes.Clone(raw))
			require.NoError(t, err, name)
			s.receive("a", f)
		}
		held := inUse() - before
		require.LessOrEqual(t, held, compact.DefaultConfig().EarlyBytes*5/4, name) // what lists grow by
		require.Greater(t, held, compact.DefaultConfig().EarlyBytes/8, name)
		runtime.KeepAlive(s)
	}
}
