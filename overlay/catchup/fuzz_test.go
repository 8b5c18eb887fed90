package catchup_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// FuzzAnswers is any answers of three peers, in any order, true and false: each byte is a
// step. Nothing panics, and the window is not exceeded.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte{9, 9, 9, 9, 17, 33, 49, 65, 81, 97, 113, 129, 9, 9, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, steps []byte) {
		main := grow(nil, 1, 120, sized(1500))
		side := grow(main[:30], 2, 100, sized(2500))
		cfg := small()
		chain := &store{has: make(map[wire.BlockID]catchup.Header), best: make(map[uint64]wire.BlockID)}
		s, err := catchup.New(cfg, chain, genesis, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, err)
		now := epoch
		known := make(map[wire.BlockID]catchup.Header)
		for _, h := range append(main[:120:120], side[30:]...) {
			known[h.ID] = h
		}
		var asks []catchup.Ask
		var adds []wire.BlockID
		for i, step := range steps[:min(len(steps), 2000)] {
			var a catchup.Ask
			if len(asks) > 0 {
				a = asks[int(step>>4)%len(asks)]
			}
			b := main
			if a.Peer == "c" {
				b = side
			}
			switch step % 16 {
			case 0:
				s.Peer(now, catchup.Source{Peer: peerscore.PeerID("abc"[step>>4%3 : step>>4%3+1]), Height: uint64(step)})
			case 1:
				s.Gone("b")
			case 2:
				s.Seek("c")
			case 3:
				_ = s.Headers(now, a.ID, b[min(int(step), len(b)-1):])
			case 4:
				s.Ended(now, a.ID, catchup.End{Height: uint64(step), Head: blockID(1, uint64(step))})
			case 5:
				s.Failed(now, a.ID, []catchup.Why{catchup.Broken, catchup.Busy, catchup.Elsewhere, catchup.Lied, catchup.Early}[step>>4%5])
			case 6:
				now = now.Add(time.Duration(step) * 20 * time.Millisecond)
			case 7:
				if len(adds) > 0 {
					s.Rejected(now, adds[0])
					adds = adds[1:]
				}
			case 8:
				if len(adds) > 0 {
					s.Postponed(now, adds[0])
					adds = adds[1:]
				}
			default: // the truth
				for range 8 {
					truth(s, now, a, b)
				}
				for _, id := range adds {
					if h := known[id]; chain.HasBlock(h.Parent) {
						chain.add(h)
						s.Added(id)
					} else {
						s.Postponed(now, id)
					}
				}
				adds = nil
			}
			out := s.Tick(now)
			asks = append(asks, out.Ask...)
			asks = asks[max(0, len(asks)-16):]
			adds = append(adds, out.Add...)
			st := s.Status()
			if st.Blocks > cfg.WindowBlocks || st.Bytes > cfg.WindowBytes || st.Blocks < 0 || st.Bytes < 0 || st.Headers > cfg.MaxHeaders {
				t.Fatalf("after step %d: %+v", i, st)
			}
			now = now.Add(time.Millisecond)
		}
	})
}

// truth answers a request as an honest peer on b does.
func truth(s *catchup.Scheduler, now time.Time, a catchup.Ask, b branch) {
	if a.Locator == nil {
		for _, id := range a.Blocks {
			_, _ = s.Body(now, a.ID, id)
		}
		return
	}
	from := 0
	for _, ref := range a.Locator {
		if ref.Height == 0 || ref.Height <= uint64(len(b)) && b[ref.Height-1].ID == ref.ID {
			from = int(ref.Height)
			break
		}
	}
	_ = s.Headers(now, a.ID, b[from:min(len(b), from+a.Count)])
	s.Ended(now, a.ID, catchup.End{Height: uint64(len(b)), Head: b[len(b)-1].ID})
}
