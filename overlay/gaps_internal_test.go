package overlay

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
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
		require.Empty(t, g.put(early{txs[i], "a", now.Add(gapPatience)}))
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
	require.Empty(t, g.put(early{tx, "a", now.Add(gapPatience)}))
	tooFar := func(early) (bool, bool) { return true, false }
	g.retry(now.Add(gapPatience-1), tooFar)
	require.Len(t, g.pen.items, 1)
	g.retry(now.Add(gapPatience+gapTick), tooFar)
	require.Empty(t, g.pen.items)
	require.Empty(t, g.put(early{tx, "a", now.Add(gapPatience)}))
	g.retry(now, func(early) (bool, bool) { return false, false })
	require.Empty(t, g.pen.items, "refused for another reason")
}

// R44: one peer cannot fill the waiting place, and loses first when it is full.
func TestGapsAreBoundedPerPeer(t *testing.T) {
	g := newGaps()
	tx := soundTxs(t, "sender", 1)[0]
	now := time.UnixMilli(0)
	put := func(from peer.ID) []peer.ID { return g.put(early{tx, from, now}) }
	for range gapPerPeer {
		require.Empty(t, put("flood"))
	}
	require.Equal(t, []peer.ID{"flood"}, put("flood"), "it has as many as it may")
	for i := range gapPlaces - gapPerPeer {
		require.Empty(t, put(peer.ID(fmt.Sprint("peer ", i%4))))
	}
	require.Equal(t, []peer.ID{"flood"}, put("latecomer"))
	require.Equal(t, gapPerPeer-1, g.pen.use["flood"].items)
	require.Len(t, g.pen.items, gapPlaces)
}

// takesAll is a pool that has room, and says what it was given.
type takesAll struct{ given chan wire.TxID }

func (p takesAll) AddTx(_ context.Context, tx validation.CheckedTx, _ peerscore.PeerID) error {
	p.given <- tx.ID()
	return nil
}

func (takesAll) Match(wire.Salt, []wire.ShortID) []validation.CheckedTx { return nil }

// R16: what waited for a gap gets into the pool while a peer reads slowly; only passing it on
// waits for that one.
func TestGapsWaitForNoSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		road, pool := apartRoad(time.Now, Hooks{}), takesAll{make(chan wire.TxID, 3)}
		road.cfg.Pool = pool
		for range road.outflow.limit {
			road.outflow.queued("slow")
		}
		ctx, stop := context.WithCancel(t.Context())
		go road.retryGaps(ctx, nil) // there is no mesh: it would panic if it passed one on before the slow one has read
		for i, name := range []string{"one", "two", "three"} {
			require.Empty(t, road.gaps.put(early{soundTxs(t, name, 1)[0], "a", time.Now().Add(gapPatience)}))
			time.Sleep(2 * gapTick)
			synctest.Wait()
			require.Len(t, pool.given, 1+i)
		}
		require.True(t, road.gaps.empty())
		stop()
		synctest.Wait()
	})
}

// What finds no place among the gaps, or loses it, is counted as shed, of whom it was.
func TestLostGapsAreShed(t *testing.T) {
	shed := map[peerscore.PeerID]int{}
	road := apartRoad(time.Now, Hooks{TxShed: func(from peerscore.PeerID, n int, why Shed) {
		require.Equal(t, ShedOverload, why)
		shed[from] += n
	}})
	tooFar := validation.TxResult{Checked: soundTxs(t, "sender", 1)[0], Err: validation.NonceTooFar}
	for range gapPerPeer + 3 {
		road.keepEarly(tooFar, "flood")
	}
	for i := range gapPlaces - gapPerPeer + 1 {
		road.keepEarly(tooFar, peer.ID(fmt.Sprint("peer ", i%4)))
	}
	require.Equal(t, map[peerscore.PeerID]int{"flood": 3 + 1}, shed)
}
