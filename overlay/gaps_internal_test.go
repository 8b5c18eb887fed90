package overlay

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// soundTxs are checked transactions of one sender, with rising nonces.
func soundTxs(t *testing.T, name string, count int, change ...func(*wire.TxBody)) (out []validation.CheckedTx) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	key := ed25519.NewKeyFromSeed(seed)
	sender := wire.Address(key.Public().(ed25519.PublicKey))
	g := &wire.Genesis{
		Network: "gaps", AddressPrefix: "gv", Time: 1, SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{sender}}},
		Rules:     []wire.RuleChange{{Version: 1}}, Limits: wire.DefaultLimits(),
	}
	l, err := ledger.New(g, nil)
	require.NoError(t, err)
	checker, err := validation.NewChecker(g, l)
	require.NoError(t, err)
	for n := range uint64(count) {
		body := &wire.TxBody{Version: 1, Sender: sender, Nonce: n, Fee: 1 << 20}
		for _, f := range change {
			f(body)
		}
		tx, err := checker.Sound(wire.SignTx(g.ID(), key, body).Bytes())
		require.NoError(t, err)
		out = append(out, tx)
	}
	return out
}

// R16: a gap of nonces waits, is tried again in the order of nonces, and less often after a while.
func TestGapsAreTriedInOrder(t *testing.T) {
	g := newGaps()
	txs := soundTxs(t, "sender", 4)
	now := time.UnixMilli(1_000_000)
	for _, i := range []int{3, 1, 2} {
		require.True(t, g.put(early{txs[i], "a", now.Add(gapPatience)}))
	}
	var asked []uint64
	next := uint64(0)
	add := func(e early) (tooFar, taken bool) {
		nonce := e.tx.Terms().Nonce
		asked = append(asked, nonce)
		if nonce != next {
			return true, false
		}
		next++
		return false, true
	}
	require.Empty(t, g.retry(now, add))
	require.Equal(t, []uint64{1}, asked, "what follows is further still")
	tries := 1
	for at := now; at.Before(now.Add(gapPatience / 2)); at = at.Add(gapTick) {
		asked = nil
		require.Empty(t, g.retry(at, add))
		tries += len(asked)
	}
	require.LessOrEqual(t, tries, 7+int(gapPatience/2/gapPause), "each pause is twice the last, up to a bound")
	require.GreaterOrEqual(t, tries, int(gapPatience/2/gapPause))

	next, asked = 1, nil
	require.Len(t, g.retry(now.Add(gapPatience-1), add), 3)
	require.Equal(t, []uint64{1, 2, 3}, asked)
	require.Empty(t, g.pen.items)
	require.Empty(t, g.pen.use)
	require.Zero(t, g.pen.bytes)
}

func TestGapsGiveUpInTime(t *testing.T) {
	g := newGaps()
	tx := soundTxs(t, "sender", 1)[0]
	now := time.UnixMilli(1_000_000)
	require.True(t, g.put(early{tx, "a", now.Add(gapPatience)}))
	tooFar := func(early) (bool, bool) { return true, false }
	g.retry(now.Add(gapPatience-1), tooFar)
	require.Len(t, g.pen.items, 1)
	g.retry(now.Add(gapPatience+gapTick), tooFar)
	require.Empty(t, g.pen.items)
	require.True(t, g.put(early{tx, "a", now.Add(gapPatience)}))
	g.retry(now, func(early) (bool, bool) { return false, false })
	require.Empty(t, g.pen.items, "refused for another reason")
}

// R44: one peer cannot fill the waiting place, and loses first when it is full.
func TestGapsAreBoundedPerPeer(t *testing.T) {
	g := newGaps()
	tx := soundTxs(t, "sender", 1)[0]
	now := time.UnixMilli(0)
	put := func(from peer.ID) bool { return g.put(early{tx, from, now}) }
	for range gapPerPeer {
		require.True(t, put("flood"))
	}
	require.False(t, put("flood"))
	for i := range gapPlaces - gapPerPeer {
		require.True(t, put(peer.ID(fmt.Sprint("peer ", i%4))))
	}
	require.True(t, put("latecomer"))
	require.Equal(t, gapPerPeer-1, g.pen.use["flood"].items)
	require.Len(t, g.pen.items, gapPlaces)
}
