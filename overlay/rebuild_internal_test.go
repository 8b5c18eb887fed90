package overlay

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// bare is a chain without blocks.
type bare struct{ Chain }

func (bare) HasBlock(wire.BlockID) bool { return false }

// Where as many blocks are under way as may be, a further one is left to sync.
func TestBlocksUnderWayAreBounded(t *testing.T) {
	body := &wire.HeaderBody{Version: wire.HeaderVersion, Height: 77, TxRoot: wire.TxRoot(nil), ShortIDsHash: wire.ShortIDsHash(nil)}
	stored, err := new(validation.Checker).Stored(&wire.Block{Header: wire.NewHeader(body, wire.Signature{})})
	require.NoError(t, err)
	var sought []uint64
	b := &blockRoad{
		cfg: Config{Chain: bare{}}, rebuilding: make(map[wire.BlockID]*rebuild),
		seek: func(_ peer.ID, height uint64) { sought = append(sought, height) },
	}
	for i := range maxRebuilding {
		b.rebuilding[wire.BlockID{byte(i), 1}] = new(rebuild)
	}
	b.startRebuild("p", stored.Header(), nil)
	require.Len(t, b.rebuilding, maxRebuilding)
	require.Equal(t, []uint64{77}, sought)
}

// A peer that reads nothing has no more kept for it than what it may be owed of a block.
func TestPartsThatWaitAreBounded(t *testing.T) {
	l := &compactLink{wake: make(chan struct{}, 1)}
	f := &compact.Chunk{Data: make([]byte, compact.MaxChunk)}
	for range 2 * maxUnsent / compact.MaxChunk {
		l.put(f)
	}
	require.LessOrEqual(t, l.bytes, maxUnsent)
	require.Greater(t, l.bytes, maxUnsent-f.Size())
	require.Len(t, l.bulk, l.bytes/f.Size())
	for l.take() != nil {
	}
	require.Zero(t, l.bytes)
	l.put(f)
	require.Len(t, l.bulk, 1, "there is room again")
}

// What waits for a slow reader is let go of with its block: a part of it, however small, holds all of it in memory.
func TestPartsDoNotWaitForLongerThanTheirBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &compactLink{wake: make(chan struct{}, 1)}
		var coded weak.Pointer[[2 * compact.MaxChunk]byte]
		put := func() {
			whole := new([2 * compact.MaxChunk]byte)
			coded = weak.Make(whole)
			l.put(&compact.Chunk{Data: whole[:1]})
		}
		put()
		time.Sleep(maxUnsentFor)
		require.NotNil(t, l.take(), "it has not waited for too long")
		put()
		l.put(&compact.Have{})
		time.Sleep(maxUnsentFor + time.Second)
		l.put(&compact.Have{Whole: true})
		runtime.GC()
		require.True(t, coded.Value() == nil, "the block is held")
		require.Equal(t, &compact.Have{Whole: true}, l.take())
		require.Nil(t, l.take())
		require.Zero(t, l.bytes)
	})
}
