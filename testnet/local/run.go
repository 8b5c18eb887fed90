package local

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Options of a run.
type Options struct {
	Progress func(Progress) // called a few times a second, from one goroutine; may be nil
	Trace    bool           // also report what plots need
	Program  []string       // to start daemons with, before `run --home`; empty is this program
	Cores    []int          // to pin daemons to, in turns, so that processor time is worth comparing; empty is anywhere
	Dir      string         // keeps the homes and logs there, in an empty folder; empty is a temporary one
}

// Phases of a run, in order.
const (
	Joining  = "starting" // daemons come up and connect
	Settling = "settling" // nobody sends; idle cost is measured
	Loading  = "loading"
	Draining = "draining" // what is under way may arrive
	Ending   = "stopping"
)

// Progress is how far a run is.
type Progress struct {
	Phase     string  `json:"phase"`
	S         float64 `json:"s"`         // seconds since the network was ready
	TotalS    float64 `json:"total_s"`   // that the run will take at most
	Published int     `json:"published"` // transactions
	Delivered int     `json:"delivered"` // deliveries of them
}

// run is one run. Its fields are owned by the goroutine that measures.
type run struct {
	s       *scenario.Scenario
	o       Options
	began   time.Time
	fleet   *fleet
	tally   *tally
	load    *load
	meter   *meter
	watch   *observers
	show    *shown
	siege   *siege
	toll    *toll // nil without attackers
	figures figures

	attackers []*attacker
}

// figures are what is read off along the way.
type figures struct {
	peers        [][]api.Peer // when the load began
	idle0, idle1 reading      // around Settle
	first, last  reading      // around the load and its drain
	loaded       time.Time    // when the load began
	left         [][]api.Peer // at the end
	heads        int          // different ones at the end
	height       uint64
	usage        []report.Usage
	mempool      float64 // the largest share of its bound that any daemon's used
}

// Run does the run that s describes, which must be valid, with a process of its
// own for each node and each attacker, and returns its report. When it returns, none of them runs
// any more. Errors: s asks for what this world cannot do ([Check]); the run
// would not fit in memory; a daemon did not come up, or ended; ctx ended. What
// the run does not keep of its promises is no error; it is for Expect to judge.
func Run(ctx context.Context, s *scenario.Scenario, o Options) (*report.Report, error) {
	r, err := runIn(ctx, s, o)
	if err != nil {
		return nil, fmt.Errorf("run %s on this machine: %w", s.Name, err)
	}
	return r, nil
}

func runIn(ctx context.Context, s *scenario.Scenario, o Options) (*report.Report, error) {
	if err := errors.Join(Check(s), fits(s)); err != nil {
		return nil, err
	}
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "grapevine-local-"); err != nil {
			return nil, fmt.Errorf("make a temporary folder: %w", err)
		}
		defer os.RemoveAll(dir)
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s: %w", dir, NotANetwork)
	}
	wallets := shapes.Wallets(s.Seed, loadWallets)
	accounts := make([]wire.Address, len(wallets))
	for i, key := range wallets {
		accounts[i] = shapes.Address(key)
	}
	r := &run{s: s, o: o, began: time.Now(), show: newShown(s)}
	var err error
	if r.attackers, err = cast(s); err != nil {
		return nil, fmt.Errorf("make the attackers' keys: %w", err)
	}
	others := company{accounts: accounts}
	others.keep(r.attackers)
	plan := Plan{
		Nodes: s.Nodes - len(r.attackers), Producers: s.Blocks.Producers - len(others.producers), Slot: s.Blocks.Slot,
		Dials: s.Network.Dials, Transport: s.Network.Transport, Seed: s.Seed, MaxBlockTxs: s.Blocks.MaxTxs, MempoolTxs: s.Mempool.MaxTxs,
	}
	if plan.Slot == 0 {
		plan.Slot = wire.MaxSlot
	}
	state, err := found(ctx, dir, plan, others)
	if err != nil {
		return nil, err
	}
	if err := place(r.attackers, dir, state, plan); err != nil {
		return nil, err
	}
	return r.do(ctx, dir, state, wallets)
}

// streamGrace is far more than it takes to notice that a process ended.
const streamGrace = time.Second

// do starts the daemons, measures, and stops them.
func (r *run) do(ctx context.Context, dir string, state *State, wallets []ed25519.PrivateKey) (rep *report.Report, err error) {
	producers := make([]string, len(state.Nodes))
	for i, d := range state.Nodes {
		producers[i] = d.Producer
	}
	every := 0
	if r.o.Trace {
		every = max(1, int(r.s.Txs.PerSecond*r.s.Txs.For.Seconds())/report.MaxTraceMessages)
	}
	r.tally = newTally(producers, r.s.Blocks.Producers > 0, every)
	if r.load, err = newLoad(r.s, state, wallets, r.tally); err != nil {
		return nil, err
	}
	defer r.load.close()
	r.meter = newMeter(state.Nodes)
	defer r.meter.close()
	if r.fleet, err = newFleet(dir, state, r.o.Program); err != nil {
		return nil, err
	}
	defer r.fleet.close()
	r.siege = newSiege(r.attackers, r.fleet.clients)

	// live ends with ctx, or when a daemon or its stream does.
	live, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A stream that ends because its daemon did is heard of before the daemon's
	// end, which says more.
	r.watch = &observers{tally: r.tally, failed: func(err error) { time.AfterFunc(streamGrace, func() { end(err) }) }}
	defer r.watch.all.Wait()
	watching, unwatch := context.WithCancel(live)
	defer unwatch()
	r.fleet.cores, r.fleet.wave = r.o.Cores, r.s.Start.Wave
	r.fleet.attackers = r.attackers
	if len(r.o.Cores) > 0 {
		r.fleet.rest = otherCores(r.o.Cores)
	}
	r.fleet.lost = func(x *attacker) { end(x.dead()) }
	r.fleet.died = func(i int, why string) {
		d := r.fleet.daemons[i]
		end(fmt.Errorf("%s ended by itself (%s); its log ends with:\n%s", d.Name, why, lastWords(d.Log)))
	}
	r.fleet.started = func(i int) {
		if err := r.watch.watch(watching, i, r.fleet.daemons[i]); err != nil {
			end(err)
		}
	}
	stop := r.show.follow(r.o.Progress, r.tally)
	defer stop()
	r.fleet.leaving = unwatch // so that streams end in order
	err = r.fleet.run(live, r.measure)
	if cause := context.Cause(live); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return r.report(), nil
}

// measure does what is between ready and stop.
func (r *run) measure(ctx context.Context) error {
	opened := make(chan struct{})
	go func() {
		r.watch.open.Wait()
		close(opened)
	}()
	select {
	case <-opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.before(ctx); err != nil {
		return err
	}
	r.show.phase(Loading)
	var sampling sync.WaitGroup
	sampled, endSamples := context.WithCancel(ctx)
	sampling.Go(func() { r.sample(sampled) })
	sampling.Go(func() { r.siege.follow(sampled, r.figures.loaded) })
	if at, ok := r.s.AttackAt(); ok {
		others := func() (float64, error) { return othersCPU(r.fleet.pids()) }
		r.toll = newToll(r.figures.loaded.Add(at), r.figures.loaded.Add(r.s.LoadFor()), others)
		sampling.Go(func() { r.toll.follow(sampled, r.meter) })
	}
	churned := make(chan error, 1)
	go func() { churned <- r.churn(ctx) }()
	r.load.send(ctx)
	// The load lasts as long as it is said to, blocks and all.
	err := pause(ctx, time.Until(r.figures.loaded.Add(r.s.LoadFor())))
	err = errors.Join(err, <-churned)
	if err == nil {
		r.show.phase(Draining)
		err = r.drain(ctx)
	}
	endSamples()
	sampling.Wait()
	if err != nil {
		return err
	}
	if r.figures.last, err = r.meter.read(ctx); err != nil {
		return err
	}
	if r.figures.left, err = peersOfAll(ctx, r.fleet.clients); err != nil {
		return err
	}
	r.chain(ctx)
	r.show.phase(Ending)
	return nil
}

// settle is the quiet time, and measures it.
func (r *run) settle(ctx context.Context) (err error) {
	r.show.phase(Settling)
	if r.figures.idle0, err = r.meter.read(ctx); err != nil {
		return err
	}
	if err := pause(ctx, r.s.Settle); err != nil {
		return err
	}
	r.figures.idle1, err = r.meter.read(ctx)
	return err
}

// before takes the first readings.
func (r *run) before(ctx context.Context) (err error) {
	if r.figures.peers, err = peersOfAll(ctx, r.fleet.clients); err != nil {
		return err
	}
	if r.figures.first, err = r.meter.read(ctx); err != nil {
		return err
	}
	r.figures.loaded = time.Now()
	attacked := time.Time{}
	if at, ok := r.s.AttackAt(); ok {
		attacked = r.figures.loaded.Add(at)
	}
	r.tally.begin(r.figures.loaded, attacked)
	for _, x := range r.attackers {
		if err := x.tell(attack.Cue{LoadAt: r.figures.loaded.UnixMilli()}); err != nil {
			return err
		}
	}
	return nil
}

// peersOfAll asks all daemons side by side for their peers.
func peersOfAll(ctx context.Context, clients []*api.Client) ([][]api.Peer, error) {
	peers := make([][]api.Peer, len(clients))
	asks, ctx := errgroup.WithContext(ctx)
	for i, c := range clients {
		asks.Go(func() (err error) {
			if peers[i], err = c.Peers(ctx); err != nil {
				err = fmt.Errorf("ask %s for its peers: %w", daemonName(i), err)
			}
			return err
		})
	}
	return peers, asks.Wait()
}

// drain waits until everything has arrived, or for as long as the scenario
// lets it. Then it lets the last block arrive.
func (r *run) drain(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, r.s.Drain)
	defer cancel()
	for !r.tally.settled() && pause(within, pollEvery) == nil {
	}
	r.tally.freeze()
	last, cancel := context.WithTimeout(ctx, min(max(2*r.s.Blocks.Slot, time.Second), max(r.s.Drain, time.Second)))
	defer cancel()
	for !r.tally.blocksArrived() && pause(last, pollEvery) == nil {
	}
	return context.Cause(ctx)
}

// chain compares the chains of all daemons at the highest height that all of
// them have. Blocks go on while it asks, so it asks again where they differ.
func (r *run) chain(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, max(2*r.s.Blocks.Slot, time.Second))
	defer cancel()
	for {
		heads, height, err := r.heads(ctx)
		if err == nil {
			r.figures.heads, r.figures.height = heads, height
		}
		if err == nil && heads == 1 || pause(within, pollEvery) != nil {
			return
		}
	}
}

func (r *run) heads(ctx context.Context) (heads int, height uint64, err error) {
	lowest := ^uint64(0)
	for _, c := range r.fleet.clients {
		h, err := c.Head(ctx)
		if err != nil {
			return 0, 0, err
		}
		lowest, height = min(lowest, h.Head.Height), max(height, h.Head.Height)
	}
	if lowest == 0 {
		return 1, height, nil // all begin with genesis
	}
	seen := make(map[wire.BlockID]bool)
	for _, c := range r.fleet.clients {
		b, err := c.Block(ctx, fmt.Sprint(lowest), false)
		if err != nil {
			return 0, 0, err
		}
		seen[b.ID] = true
	}
	return len(seen), height, nil
}

// sampleEvery is often enough for a plot, and seldom enough to cost nothing.
const sampleEvery = time.Second

// sample reads mempools along the way, and other resources where plots are
// wanted.
func (r *run) sample(ctx context.Context) {
	for pause(ctx, sampleEvery) == nil {
		for _, c := range r.fleet.clients {
			if m, err := c.Mempool(ctx); err == nil { // the last reading says what does not answer
				r.figures.mempool = max(r.figures.mempool, float64(m.Count)/float64(m.MaxCount), float64(m.Bytes)/float64(m.MaxBytes))
			}
		}
		if !r.o.Trace || len(r.figures.usage) >= report.MaxTracePoints {
			continue
		}
		now, err := r.meter.read(ctx)
		if err != nil {
			continue // as above
		}
		r.figures.usage = append(r.figures.usage, report.Usage{
			AtMS:   float64(now.at.Sub(r.figures.loaded)) / float64(time.Millisecond),
			HeapMB: now.heap / 1e6, CPUS: now.cpu - r.figures.first.cpu, WireB: now.wire - r.figures.first.wire,
		})
	}
}
