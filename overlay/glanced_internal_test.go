package overlay

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// verifies says of all but what begins with a zero that it is well signed.
func verifies(_ time.Time, arrivals []validation.Arrival, _ validation.Glance) []validation.TxResult {
	results := make([]validation.TxResult, len(arrivals))
	for i, a := range arrivals {
		results[i].ID = wire.TxIDOf(a.Raw)
		if a.Raw[0] == 0 {
			results[i].Err = validation.BadSignature
		}
	}
	return results
}

func numbered(first byte, n, size int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{first}, uint32(n)), make([]byte, size)...)
}

func (g *glanced) refuse(raw []byte, err error) wire.ShortID {
	id := wire.TxIDOf(raw)
	g.note(raw, validation.TxResult{ID: id, Err: err})
	return wire.ShortIDOf(wire.Salt{}, id)
}

// Whatever is refused, and however large it is, the memory of it keeps its bounds: the oldest go.
func TestMemoryOfTheRefusedIsBounded(t *testing.T) {
	for size, most := range map[int]int{10: maxGlanced, 100 << 10: maxGlancedBytes / (100<<10 + 5)} {
		g := &glanced{verify: verifies, known: make(map[wire.TxID]struct{})}
		var ids []wire.ShortID
		for i := range most + 100 {
			ids = append(ids, g.refuse(numbered(1, i, size), validation.PoolFull))
		}
		require.Len(t, g.order, most)
		require.Len(t, g.known, most)
		require.LessOrEqual(t, g.bytes, maxGlancedBytes)
		require.Empty(t, g.match(time.Now(), wire.Salt{}, ids[:100]))
		require.Len(t, g.match(time.Now(), wire.Salt{}, ids), most)
		g.refuse(numbered(1, 1_000_000, maxGlancedBytes), validation.PoolFull)
		require.Empty(t, g.order, "one that is larger than all the room")
		require.Zero(t, g.bytes)
	}
}

// What nobody signed is no part of a block, and what is refused for good is not remembered; nor
// is what is remembered changed by who handed it over.
func TestOnlyTheSoundIsFound(t *testing.T) {
	g := &glanced{verify: verifies, known: make(map[wire.TxID]struct{})}
	forged := g.refuse(numbered(0, 1, 8), validation.PoolFull)
	raw := numbered(1, 2, 8)
	sound := g.refuse(raw, validation.Overdraft)
	raw[0] = 0
	want := []wire.ShortID{forged, sound}
	for i, err := range []error{nil, validation.BadSignature, validation.AlreadyKnown, validation.Expired} {
		want = append(want, g.refuse(numbered(1, 3+i, 8), err))
	}
	found := g.match(time.Now(), wire.Salt{}, want)
	require.Len(t, found, 1)
	require.Empty(t, g.match(time.Now(), wire.Salt{1}, want), "under another salt")
}
