package compact_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// twins are two transactions with one short id under the salt of these tests, found by
// trying 31 million.
func twins(t *testing.T) (a, b *wire.Transaction) {
	a, b = transactions(8_187_672, 1, 78)[0], transactions(31_070_159, 1, 78)[0]
	require.NotEqual(t, a.ID(), b.ID())
	require.Equal(t, wire.ShortIDOf(wire.Salt{7}, a.ID()), wire.ShortIDOf(wire.Salt{7}, b.ID()))
	return a, b
}

// checked mints transactions through a block of them.
func checked(txs ...*wire.Transaction) []validation.CheckedTx {
	b, _ := block(txs, nil)
	return b.Txs()
}

func draft(b validation.CheckedBlock, known ...validation.CheckedTx) *compact.Draft {
	return compact.NewDraft(b.Header().Body(), wire.Compact(b.Block()).ShortIDs, slices.Values(known))
}

func requireBody(t require.TestingT, b validation.CheckedBlock, parts []validation.Part) {
	require.Len(t, parts, len(b.Txs()))
	for i, p := range parts {
		tx := p.Tx
		if tx == nil {
			tx = p.Checked.Tx()
		}
		require.Equal(t, b.Txs()[i].ID(), tx.ID())
	}
}

// TestDraft: whatever is known, in whatever order, exactly the rest is missing, and with
// it the body is there.
func TestDraft(t *testing.T) {
	b, _ := block(transactions(0, 40, 150), nil)
	others := checked(transactions(500, 20, 150)...)
	rapid.Check(t, func(t *rapid.T) {
		var pool []validation.CheckedTx
		var missing []uint32
		for i, tx := range b.Txs() {
			if rapid.Bool().Draw(t, "known") {
				pool = append(pool, tx)
			} else {
				missing = append(missing, uint32(i))
			}
		}
		pool = append(pool, others...)
		pool = append(pool, pool[:rapid.IntRange(0, 5).Draw(t, "twice")]...)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		rng.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		d := draft(b, pool...)
		require.Equal(t, len(missing), d.Open())
		require.ElementsMatch(t, missing, d.Missing())
		for _, i := range missing {
			require.True(t, d.Lacks(i))
			require.Nil(t, d.Tx(i))
			_, ok, err := d.Close()
			require.False(t, ok)
			require.NoError(t, err)
			require.ErrorIs(t, d.Add(i, others[0].Tx(), "x"), compact.WrongTx)
			require.NoError(t, d.Add(i, b.Block().Txs[i], "x"))
		}
		parts, ok, err := d.Close()
		require.NoError(t, err)
		require.True(t, ok)
		requireBody(t, b, parts)
		require.Empty(t, d.Liars(b.Block().Txs))
		require.ErrorIs(t, d.Add(40, others[0].Tx(), "x"), compact.Garbage)
	})
}

// TestCollisions: two transactions with one short id, in the block or only known.
func TestCollisions(t *testing.T) {
	a, b := twins(t)
	rest := transactions(0, 5, 150)
	one, _ := block(append(slices.Clone(rest), a), nil)
	both, _ := block(append([]*wire.Transaction{b}, append(slices.Clone(rest), a)...), nil)
	known := checked(append([]*wire.Transaction{a, b}, rest...)...)

	t.Run("two known, one place", func(t *testing.T) {
		d := draft(one, known...)
		require.Equal(t, []uint32{5}, d.Missing(), "a doubt")
		parts, ok, err := d.Close()
		require.NoError(t, err)
		require.True(t, ok)
		requireBody(t, one, parts)
	})
	t.Run("two known, two places", func(t *testing.T) {
		parts, ok, err := draft(both, known...).Close()
		require.NoError(t, err)
		require.True(t, ok)
		requireBody(t, both, parts)
	})
	t.Run("one known, two places", func(t *testing.T) {
		d := draft(both, slices.Delete(slices.Clone(known), 1, 2)...)
		_, ok, err := d.Close()
		require.NoError(t, err)
		require.False(t, ok)
		require.Equal(t, []uint32{0, 6}, d.Missing(), "both are asked for")
		require.NoError(t, d.Add(0, b, ""))
		require.NoError(t, d.Add(6, a, ""))
		_, ok, err = d.Close()
		require.NoError(t, err)
		require.True(t, ok)
	})
	t.Run("only the wrong one known", func(t *testing.T) {
		d := draft(one, slices.Delete(slices.Clone(known), 0, 1)...)
		require.Zero(t, d.Open())
		_, ok, err := d.Close()
		require.False(t, ok)
		require.ErrorIs(t, err, compact.Collision)
		require.Empty(t, d.Liars(one.Block().Txs), "nobody's fault")
	})
	t.Run("one transaction twice", func(t *testing.T) {
		// Such a block is invalid. Its body is put together all the same, for the checker
		// to say so.
		ids := wire.ShortIDs(wire.Salt{7}, []wire.TxID{a.ID(), a.ID()})
		h := &wire.HeaderBody{Salt: wire.Salt{7}, TxRoot: wire.TxRoot([]wire.TxID{a.ID(), a.ID()})}
		parts, ok, err := compact.NewDraft(h, ids, slices.Values(known[:1])).Close()
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, parts, 2)
	})
}

// TestCollidingAnswer: a peer that says to have proved the body and sends the twin of a
// transaction is found out when the right body comes; one that only guessed is not to
// blame.
func TestCollidingAnswer(t *testing.T) {
	a, twin := twins(t)
	b, _ := block(append(transactions(0, 5, 150), a), nil)
	for _, proved := range []bool{true, false} {
		s := newStage(t, none, "a", "b")
		s.open("a", b, b.Txs()[:5]...)
		ask := only[*compact.Ask](s.pass(50e6), "a")[0]
		s.receive("a", &compact.Fill{Block: b.ID(), ID: ask.ID, Places: []uint32{5}, Txs: [][]byte{twin.Bytes()}, Proved: proved})
		gave := kindOf[compact.GaveUp](s.seen)
		require.Len(t, gave, 1)
		require.ErrorIs(t, gave[0].Why, compact.Collision, "the whole block is to be asked for")
		require.Empty(t, s.blamed(compact.WrongTx))
		s.take(s.Arrived(s.at, b.ID(), b.Block().Txs))
		if proved {
			require.Equal(t, []peerscore.PeerID{"a"}, s.blamed(compact.WrongTx))
		} else {
			require.Empty(t, s.blamed(compact.WrongTx))
		}
	}
}
