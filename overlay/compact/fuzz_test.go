package compact_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// FuzzMachine feeds a machine that puts one block together, and serves another, with
// frames of hostile links, in an order that the input chooses. It must not fail, must hand
// out nothing but the right body, and must always come to rest.
func FuzzMachine(f *testing.F) {
	mine, mineCoded := block(transactions(0, 600, 250), nil)
	theirs, theirsCoded := block(transactions(9_000, 600, 250), nil)
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{5, 5, 5, 1, 1, 1, 6, 9, 9, 8, 0, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 400)]
		m, err := compact.New(compact.DefaultConfig(), none, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, err)
		links := []peerscore.PeerID{"a", "b", "c"}
		for _, l := range links {
			require.NoError(t, m.SetLink(compact.Link{ID: l, Mesh: l != "c", RTT: time.Millisecond, Window: 9 << 10}))
		}
		chunks := chunksOf(&testing.T{}, theirs, theirsCoded)
		at := start
		var seen []compact.Action
		take := func(actions []compact.Action) { seen = append(seen, actions...) }
		take(m.Produce(at, mine, mineCoded))
		rng := rand.New(rand.NewPCG(uint64(len(script)), 3))
		for k, op := range script {
			l := links[int(op>>4)%len(links)]
			b := []validation.CheckedBlock{mine, theirs}[int(op>>6)%2]
			var bits compact.Bitmap
			for range k % 9 {
				bits.Set(rng.IntN(compact.MaxChunks))
			}
			first := uint32(rng.IntN(610))
			ask := &compact.Ask{Block: b.ID(), ID: uint32(k % 5), Places: []uint32{first, first + 2}}
			switch op % 14 {
			case 0:
				take(m.Open(at, l, theirs.Header(), wire.Compact(theirs.Block()).ShortIDs, slices.Values(theirs.Txs()[:int(op)])))
			case 1:
				take(m.Receive(at, l, ask))
			case 2:
				if first < 590 {
					take(m.Receive(at, l, answer(b, ask)))
				}
			case 3:
				take(m.Receive(at, l, &compact.Have{Block: b.ID(), Chunks: bits, Coming: op&64 > 0, Seeking: op&32 > 0}))
			case 4:
				take(m.Receive(at, l, &compact.Have{Block: b.ID(), Whole: true}))
			case 5:
				take(m.Receive(at, l, &compact.Want{Block: b.ID(), Chunks: bits}))
			case 6, 7:
				take(m.Receive(at, l, chunks[rng.IntN(len(chunks))]))
			case 8:
				bent := *chunks[rng.IntN(len(chunks))]
				bent.Block = b.ID()
				take(m.Receive(at, l, &bent))
			case 9:
				take(m.DropLink(at, l))
			case 10:
				_ = m.SetLink(compact.Link{ID: l, Mesh: true})
			case 11:
				if next, ok := m.Next(); ok && next.After(at) {
					at = next
				}
				take(m.Tick(at))
			case 12:
				take(m.Arrived(at, theirs.ID(), theirs.Block().Txs))
			case 13:
				m.Excuse(at, l)
			}
		}
		for range 2_000 {
			next, ok := m.Next()
			if !ok {
				break
			}
			require.True(t, next.After(at) || len(script) > 0)
			if next.After(at) {
				at = next
			}
			take(m.Tick(at))
		}
		_, ok := m.Next()
		require.False(t, ok, "it never comes to rest")
		for _, x := range kindOf[compact.Settled](seen) {
			require.LessOrEqual(t, x.Unpaid, x.Owed)
			require.Positive(t, x.Owed)
		}
		for _, x := range kindOf[compact.Built](seen) {
			require.Equal(t, theirs.ID(), x.Block)
			for i, p := range x.Parts {
				tx := p.Tx
				if tx == nil {
					tx = p.Checked.Tx()
				}
				require.Equal(t, theirs.Block().Txs[i].ID(), tx.ID())
			}
		}
		require.Empty(t, kindOf[compact.Accuse](seen))
	})
}
