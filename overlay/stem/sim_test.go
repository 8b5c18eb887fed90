package stem_test

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// town is a network of routers that only does stems: what is published ends its journey.
type town struct {
	rng     *rand.Rand
	routers []*stem.Router
	spies   []bool // they tell each other what they are handed, and by whom
	deaf    []bool // they take and keep
	queue   hops
	seen    map[wire.TxID]int // the node that handed it to the first spy
	out     map[wire.TxID]time.Time
}

type hop struct {
	at       time.Time
	from, to int
	tx       validation.CheckedTx
}

type hops []hop

func (h hops) Len() int           { return len(h) }
func (h hops) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h hops) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *hops) Push(x any)        { *h = append(*h, x.(hop)) }
func (h *hops) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

const (
	townNodes = 200
	townDials = 10
	townHop   = 175 * time.Millisecond
)

func name(n int) peerscore.PeerID { return peerscore.PeerID(strconv.Itoa(n)) }

func newTown(t *testing.T, seed uint64, spies, deaf int) *town {
	w := &town{
		rng: rand.New(rand.NewPCG(seed, 1)), spies: make([]bool, townNodes), deaf: make([]bool, townNodes),
		seen: make(map[wire.TxID]int), out: make(map[wire.TxID]time.Time),
	}
	for _, n := range w.rng.Perm(townNodes)[:spies] {
		w.spies[n] = true
	}
	for _, n := range w.rng.Perm(townNodes)[:deaf] {
		w.deaf[n] = true
	}
	for n := range townNodes {
		var dialled []peerscore.PeerID
		for _, p := range w.rng.Perm(townNodes) {
			if p != n && len(dialled) < townDials {
				dialled = append(dialled, name(p))
			}
		}
		w.routers = append(w.routers, router(t, stem.DefaultConfig(), w.rng.Uint64(), dialled...))
	}
	return w
}

func (w *town) hand(now time.Time, from int, to []peerscore.PeerID, tx validation.CheckedTx) {
	if len(to) > 0 {
		n, _ := strconv.Atoi(string(to[0]))
		heap.Push(&w.queue, hop{now.Add(townHop), from, n, tx})
	}
}

// publish ends a transaction's journey: everybody sees it soon.
func (w *town) publish(now time.Time, tx validation.CheckedTx) {
	if _, ok := w.out[tx.ID()]; !ok {
		w.out[tx.ID()] = now
	}
	for _, r := range w.routers {
		r.Seen(tx.ID())
	}
}

// run moves what is under way until everything is published.
func (w *town) run(now time.Time, want int) {
	for ; len(w.out) < want; now = now.Add(25 * time.Millisecond) {
		for len(w.queue) > 0 && !w.queue[0].at.After(now) {
			h := heap.Pop(&w.queue).(hop)
			if _, public := w.out[h.tx.ID()]; public {
				continue
			}
			if _, known := w.seen[h.tx.ID()]; w.spies[h.to] && !known {
				w.seen[h.tx.ID()] = h.from
			}
			if w.deaf[h.to] {
				continue
			}
			step := w.routers[h.to].Relayed(now, name(h.from), h.tx)
			if step.Publish {
				w.publish(now, h.tx)
			}
			w.hand(now, h.to, step.To, h.tx)
		}
		for _, r := range w.routers {
			for _, d := range r.Due(now) {
				w.publish(now, d.Tx)
			}
		}
	}
}

// A fifth of the nodes are spies that tell each other who handed them what first. Of a node
// that published at once, with eight peers in its mesh, at least one would be a spy for 83 %
// of the nodes, and know the origin. Along stems they are right for about a fifth: where the first relay is
// one of them.
func TestSpiesLearnLittle(t *testing.T) {
	tx := maker()
	rng := seed(t)
	right, all := 0, 0
	for s := range uint64(5) {
		w := newTown(t, rng+s, townNodes/5, 0)
		origin := make(map[wire.TxID]int)
		for n := range 400 {
			at := w.rng.IntN(townNodes)
			if w.spies[at] {
				continue
			}
			to, err := w.routers[at].Own(start, tx(n))
			require.NoError(t, err)
			origin[tx(n).ID()] = at
			w.hand(start, at, to, tx(n))
		}
		w.run(start, len(origin))
		for id, at := range origin {
			all++
			if guess, ok := w.seen[id]; ok && guess == at {
				right++
			}
		}
	}
	share := float64(right) / float64(all)
	t.Logf("a fifth of the nodes spy: right about the origin of %.1f %% of %d transactions", 100*share, all)
	require.Less(t, share, 0.3)
	require.Greater(t, share, 0.1, "or the spies do not spy")
}

// A fifth of the nodes keep what they are handed. Everything is published all the same.
func TestSilentRelaysOnlyDelay(t *testing.T) {
	tx := maker()
	for name, deaf := range map[string]int{"all honest": 0, "a fifth keeps all": townNodes / 5} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, seed(t), 0, deaf)
			const count = 1000
			for n := range count {
				at := w.rng.IntN(townNodes)
				to, err := w.routers[at].Own(start, tx(n))
				require.NoError(t, err)
				w.hand(start, at, to, tx(n))
			}
			w.run(start, count)
			var took []time.Duration
			for _, at := range w.out {
				took = append(took, at.Sub(start))
			}
			slices.Sort(took)
			t.Logf("public after: p50 %v, p99 %v, last %v", took[count/2], took[count*99/100], took[count-1])
			require.Less(t, took[count*99/100], 90*time.Second, "the embargo of the origin alone ends in 78 s for 99 %")
		})
	}
}
