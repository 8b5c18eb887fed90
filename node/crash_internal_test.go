package node

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/internal/cases"
	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestCrashesLoseNothing lets wallets, peers, producers and the clock do what they may, in any
// order, with a disk that fails and power that goes at any moment, and asks after each step
// and each start whether what the node says of every transaction is true.
//
// R19: what was accepted is not lost.
func TestCrashesLoseNothing(t *testing.T) {
	switch {
	case os.Getenv("GRAPEVINE_SOAK") != "":
		cases.AtLeast(t, 10_000)
	case !testing.Short():
		cases.AtLeast(t, 200)
	}
	b := newBench(t, 5, vfs.NewMem())
	cfg := b.cfg
	require.NoError(t, b.Close())
	var ending sync.WaitGroup // of failed stores, which take their time
	defer ending.Wait()
	rapid.Check(t, func(rt *rapid.T) {
		w := newCrashes(rt, b, cfg, &ending)
		defer w.end()
		for range 1 + w.pick(40, "steps") {
			w.step()
		}
		w.crash()
	})
}

// crashes is a node, its disk, and what is known without asking it.
type crashes struct {
	*rapid.T
	*bench

	cfg    Config
	ending *sync.WaitGroup
	disk   *crashdisk.Disk
	faults *crashdisk.Faults
	narrow bool      // the pool is small
	dying  bool      // the power goes while this step is done
	latest time.Time // that the clock ever said

	deeds  []*deed
	byID   map[wire.TxID]int // of deeds
	calls  []*call           // submissions that have begun
	points map[wire.BlockID]*point
	before *point // the head at the last look
	safe   uint64 // the height that is on disk
}

// call is a Submit that is between two of its steps.
type call struct {
	deed   *deed
	pooled bool
	put    bool // the disk has taken it
}

const (
	bank          = 100 // the key that has all the money, and pays in blocks only
	crashWallets  = 2   // keys after it
	crashBlocks   = 5   // of a fork at most
	crashEndowed  = 60_000
	crashLoseable = 40_000
)

func newCrashes(t *rapid.T, b *bench, cfg Config, ending *sync.WaitGroup) *crashes {
	w := &crashes{
		T: t, bench: b, cfg: cfg, ending: ending, narrow: rapid.Bool().Draw(t, "narrow"),
		byID: make(map[wire.TxID]int), points: make(map[wire.BlockID]*point),
	}
	if w.narrow {
		w.cfg.Mempool.MaxCount, w.cfg.Mempool.MaxPerSender, w.cfg.Mempool.MaxWaiting, w.cfg.Mempool.MaxNonceGap = 3, 3, 2, 2 // two senders are too many for it
	}
	w.at(20)
	w.latest = w.clock
	w.start(crashdisk.New())
	genesis := &point{ref: w.chain.Head(), accounts: make(map[wire.Address]ledger.Account)}
	for _, a := range w.Genesis().Allocations {
		genesis.credit(a.Address, a.Amount)
	}
	w.points[genesis.ref.ID], w.before = genesis, genesis
	first := w.on(genesis, 1)
	for i := range crashWallets {
		w.pay(first, i, crashEndowed)
	}
	w.add(first, 1)
	return w
}

// start opens the node on a disk.
func (w *crashes) start(disk *crashdisk.Disk) {
	w.disk, w.faults, w.calls = disk, crashdisk.WithFaults(disk), nil
	w.cfg.FS = w.faults
	n, err := New(w.cfg)
	require.NoError(w, err)
	w.bench.Node = n
}

// end ends the node without a word.
func (w *crashes) end() {
	if w.store.Err() == nil {
		_ = w.bench.Node.Close()
		return
	}
	store := w.store
	w.ending.Go(func() { _ = store.Close() })
	require.NoError(w, w.home.lock.Close())
}

func (w *crashes) pick(n int, what string) int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return rapid.SampledFrom(all).Draw(w.T, what)
}

func (w *crashes) one(in int, what string) bool { return w.pick(in, what) == 0 }

func (w *crashes) wallet(i int) wire.Address { return keyfile.Address(benchKey(bank + 1 + byte(i))) }

// step does one thing, and looks.
func (w *crashes) step() {
	act := rapid.SampledFrom(acts).Draw(w.T, "act")
	if w.one(8, "power goes meanwhile") {
		w.crashDuring(act.do)
		return
	}
	act.do(w)
	w.look(false)
}

// crash takes the power away, and starts the node again.
func (w *crashes) crash() {
	if !w.dying {
		w.restartOn(w.disk.Crash(w.lost()))
	}
}

// lost says what a loss of power leaves of what was not synced.
func (w *crashes) lost() vfs.CrashCloneCfg {
	percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(w.T, "percent that stays")
	return vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(w.T, "luck"), 0))}
}

// crashDuring is crash while something is done, before one of its writes.
func (w *crashes) crashDuring(do func(*crashes)) {
	w.dying = true
	disk, during, after := w.disk, w.lost(), w.lost()
	var left atomic.Pointer[crashdisk.Disk] // a write may come late
	w.faults.Before(1+w.pick(6, "write"), func() { left.CompareAndSwap(nil, disk.Crash(during)) })
	do(w)
	w.dying = false
	left.CompareAndSwap(nil, disk.Crash(after))
	w.restartOn(left.Load())
}

func (w *crashes) restartOn(left *crashdisk.Disk) {
	w.Logf("the power goes")
	w.end()
	w.start(left)
	require.GreaterOrEqual(w, w.chain.Head().Height, w.safe)
	w.look(true)
	if w.one(2, "snapshot is read") {
		w.loadSnapshot(context.Background())
		w.look(false)
	}
}
