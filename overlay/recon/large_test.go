package recon_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// keeper opens exchanges for their place: of each it says as little as keeps it.
type keeper struct {
	r     *recon.Responder // that it talks to
	set   map[wire.TxID]bool
	holds bool // it was sent symbols
	since time.Time
	asked int // symbols
}

func (k *keeper) do(t *testing.T, now time.Time, ev recon.Event) {
	for todo := []recon.Event{ev}; len(todo) > 0; todo = todo[1:] {
		for _, a := range k.r.Step(now, todo[0], nil) {
			switch a := a.(type) {
			case recon.RunScan:
				a.Scan.Run(ids(k.set))
				todo = append(todo, recon.Scanned(a))
			case recon.Send:
				switch f := a.Frame.(type) {
				case recon.Symbols:
					if !k.holds {
						k.since = now
					}
					k.holds, k.asked = true, f.From+len(f.Symbols)
				case recon.Busy, recon.Done:
					k.holds = false
				}
			case recon.Close:
				require.Fail(t, "a keeper was found out", "%v", a.Err)
			}
		}
	}
}

// R177: peers that take the one large place in turn, and tell nothing, keep it from our own
// sessions for no longer than they have for one frame: neither with silence nor with a request now and then.
func TestNobodyKeepsTheLargePlace(t *testing.T) {
	for name, test := range map[string]struct {
		every  time.Duration // a request for more symbols; never if 0
		within time.Duration
	}{
		"in silence":       {0, 5 * time.Second},
		"by asking slowly": {2900 * time.Millisecond, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var large recon.Large
			p := newPair(t, recon.DefaultConfig(), 7)
			asks, err := recon.NewInitiator(recon.DefaultConfig(), &large, recon.Salt{9}, rng)
			require.NoError(t, err)
			p.asks.session = asks
			p.fill(rng, 3000, 0, 1000)
			keepers := make([]*keeper, 3)
			for n := range keepers {
				r, err := recon.NewResponder(recon.DefaultConfig(), &large, recon.Salt{3, byte(n)})
				require.NoError(t, err)
				keepers[n] = &keeper{r: r, set: p.asks.set}
				keepers[n].do(t, epoch, recon.Received{Frame: recon.Greeting{Salt: recon.Salt{byte(n), 1}}})
			}
			turns, last := 0, epoch
			next := func(now time.Time) {
				k := keepers[turns%len(keepers)]
				turns, last = turns+1, now
				k.do(t, now, recon.Received{Frame: recon.Open{Size: 1, Sum: 1, Check: 1}})
			}
			next(epoch)
			for p.now.Sub(epoch) < time.Minute && len(p.asks.compared) == 0 {
				p.run(10*time.Millisecond, never)
				for _, k := range keepers {
					if at, ok := k.r.Next(); ok && !p.now.Before(at) {
						k.do(t, p.now, recon.Tick{})
					}
					switch {
					case !k.holds:
					case p.now.Sub(k.since) >= 11900*time.Millisecond:
						k.do(t, p.now, recon.Received{Frame: recon.Done{}})
					case test.every > 0 && p.now.Sub(last) >= test.every:
						last = p.now
						k.do(t, p.now, recon.Received{Frame: recon.More{Upto: k.asked + 1}})
					}
				}
				if p.now.Sub(last) >= 400*time.Millisecond && !keepers[0].holds && !keepers[1].holds && !keepers[2].holds {
					next(p.now)
				}
			}
			t.Logf("after %v and %d turns of others", p.now.Sub(epoch), turns)
			require.NotEmpty(t, p.asks.compared, "the difference is never told")
			require.Less(t, p.now.Sub(epoch), test.within)
		})
	}
}

// R62: much that the other side never takes keeps back nothing: exchanges go on where those before
// ended, whether the difference is found by symbols or by a listing.
func TestWhatIsNeverTakenKeepsBackNothing(t *testing.T) {
	for name, c := range map[string]struct {
		shared, asks, answers int
		listed                bool
	}{
		"needed, by symbols":   {20_000, 0, 20_000, false},
		"offered, by symbols":  {20_000, 20_000, 0, false},
		"needed, by a listing": {100, 0, 20_000, true},
		"offered, to a list":   {100, 20_000, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, recon.DefaultConfig(), 1)
			p.fill(rand.New(rand.NewPCG(1, 2)), c.shared, c.asks, c.answers)
			listed := false
			p.spy = func(_ int, f recon.Frame) {
				_, ok := f.(recon.Listing)
				listed = listed || ok
			}
			told := make(map[wire.TxID]bool)
			for range 3 {
				p.exchange()
				p.run(time.Second, never) // the rest of it
				for _, s := range []*side{p.asks, p.answers} {
					for _, id := range s.learned {
						told[id] = true
					}
				}
			}
			require.Equal(t, c.listed, listed)
			require.Equal(t, 20_000, len(told), "told")
		})
	}
}
