package testnet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
)

const (
	// joinWithin is how long nodes may take to find each other. On a laptop it
	// takes two seconds; the rest is for machines that do ten things at once.
	joinWithin = 90 * time.Second

	// slotZeroIn is when the first slot begins after the nodes are opened: a
	// producer that starts before it is connected builds on itself alone.
	slotZeroIn = 2 * time.Second

	showEvery = time.Second
)

// demo is one run. It is led by one goroutine; others send, and one shows.
type demo struct {
	o       DemoOptions
	net     *network
	load    *shapes.Load
	watch   *watch
	nonces  []uint64 // next one of each wallet; owned by the sender of its node
	log     sendLog
	began   time.Time
	phase   chan Phase
	waiting atomic.Pointer[string] // what joining waits for; for the one who shows
	figures figures
}

// figures are what is read off the process and its nodes along the way.
type figures struct {
	links, tcp, quic int       // connected pairs, in all and by transport
	ready            time.Time // start of the load
	loaded           time.Time // its end
	wire0, wire1     uint64    // bytes sent, from ready to the end of the drain
	cpu0, cpu1       time.Duration
	cpuKnown         bool
	idleBytes        uint64
	idle             time.Duration // 0: was not measured
	heap             uint64
	early            bool     // the caller ended the run before For
	unchecked        bool     // the stores could not be looked through in time
	missing          []string // by node, what its own answers lack
}

// Demo runs a small network of real nodes in this process, over TCP and QUIC
// on loopback with a store on disk each, puts a load with the shapes of two
// mainnet blocks on it, and reports what arrived where and when.
//
// The end of ctx ends the load; what was accepted by then still gets o.Drain
// to settle, and the report covers what was sent. Demo returns an error, and
// no report, when the options are wrong, when ctx ends before the network was
// ready, and when the network could not be started or a node stopped by
// itself. Broken promises of the network are no error: they are in the
// report's FailedExpectations. When Demo returns, nothing of it runs any more.
func Demo(ctx context.Context, o DemoOptions) (*report.Report, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	dir, remove, err := home(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer remove()
	r, err := newDemo(o).run(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return r, nil
}

func newDemo(o DemoOptions) *demo {
	return &demo{o: o, watch: newWatch(o.Nodes), nonces: make([]uint64, demoWallets), began: time.Now(), phase: make(chan Phase)}
}

// open makes the network and the load for it.
func (d *demo) open(dir string) error {
	genesis, wallets, producers, err := demoGenesis(d.o, time.Now().Add(slotZeroIn))
	if err != nil {
		return err
	}
	samples, err := shapes.Mainnet()
	if err != nil {
		return err
	}
	if d.load, err = shapes.New(shapes.Config{
		Seed: d.o.Seed, Samples: samples, Wallets: wallets,
		Network: genesis.ID(), MinFeePerByte: genesis.Limits.MinFeePerByte,
	}); err != nil {
		return err
	}
	d.net, err = newNetwork(d.o, dir, genesis, producers, d.watch)
	return err
}

// run opens the network, keeps it up for as long as it is measured, and takes
// it down.
func (d *demo) run(ctx context.Context, dir string) (*report.Report, error) {
	if err := d.open(dir); err != nil {
		return nil, err
	}
	defer d.net.close()

	// The nodes outlive ctx: what was accepted before it ended may settle.
	up, down := context.WithCancel(context.WithoutCancel(ctx))
	defer down()
	nodes, up := errgroup.WithContext(up)
	start := func(i int) {
		nodes.Go(func() error {
			if err := d.net.nodes[i].Run(up); err != nil {
				return fmt.Errorf("node %d: %w", i, err)
			}
			if up.Err() == nil {
				return fmt.Errorf("node %d stopped by itself", i)
			}
			return nil
		})
	}
	var r *report.Report
	nodes.Go(func() error {
		defer down()
		var err error
		r, err = d.measured(ctx, up, start)
		return err
	})
	if err := nodes.Wait(); err != nil {
		return nil, err
	}
	return r, nil
}

// measured starts the nodes and shows progress while it measures. up ends when
// a node fails.
func (d *demo) measured(ctx, up context.Context, start func(i int)) (*report.Report, error) {
	var shown sync.WaitGroup
	shown.Go(func() { d.show(up) })
	defer shown.Wait()
	defer close(d.phase)

	// live ends with ctx, or when a node fails.
	live, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(up, func() { end(errors.New("a node failed")) })()

	if err := d.join(live, start); err != nil {
		return nil, err
	}
	d.phase <- Loading
	if err := d.send(live, up); err != nil {
		return nil, err
	}
	d.phase <- Draining
	d.drain(up)
	d.recheck(up)
	if rest := d.rest(); rest > 0 && live.Err() == nil {
		d.phase <- Idling
		d.idle(live, rest)
	}
	d.figures.early = ctx.Err() != nil && d.o.For != 0
	d.phase <- Done
	return d.report(), nil
}

// join starts the nodes, each when those that it is told of listen: a dial
// that fails is only repeated after a pause. It waits for the meshes and takes
// the first readings.
func (d *demo) join(live context.Context, start func(i int)) error {
	within, cancel := context.WithTimeout(live, joinWithin)
	defer cancel()
	for i, n := range d.net.nodes {
		start(i)
		select {
		case <-n.Ready():
		case <-within.Done():
			return fmt.Errorf("node %d did not start: %w", i, context.Cause(within))
		}
	}
	d.phase <- Joining
	if err := d.net.joined(within, func(missing string) { d.waiting.Store(&missing) }); err != nil {
		return fmt.Errorf("the network did not come together: %w", err)
	}
	v, err := d.net.view(live)
	if err != nil {
		return err
	}
	f := &d.figures
	f.links, f.tcp, f.quic = v.links(), v.over("/tcp/"), v.over("/quic-v1")
	f.ready = time.Now()
	f.wire0 = d.net.wire()
	f.cpu0, f.cpuKnown = cpuTime()
	return nil
}

// drain waits until all that was accepted is known to every node and on every
// node's best chain, and all blocks made until then have reached every node.
func (d *demo) drain(up context.Context) {
	d.figures.loaded = time.Now()
	within, cancel := context.WithTimeout(up, d.o.Drain)
	defer cancel()
	until(within, d.watch.settled)
	d.watch.freeze()
	until(within, d.watch.blocksArrived)
	d.watch.close()
	d.figures.wire1 = d.net.wire()
	d.figures.cpu1, _ = cpuTime()
	d.figures.heap = liveHeap()
}

// rest is what is left of For.
func (d *demo) rest() time.Duration {
	if d.o.For == 0 {
		return 0
	}
	return time.Until(d.figures.ready.Add(d.o.For))
}

// idleAtLeast is the shortest silence that is worth a figure.
const idleAtLeast = time.Second

// idle measures what the network costs when nobody sends, for the given time.
func (d *demo) idle(live context.Context, rest time.Duration) {
	start, sent := time.Now(), d.net.wire()
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-live.Done():
	}
	if took := time.Since(start); took >= idleAtLeast {
		d.figures.idle, d.figures.idleBytes = took, d.net.wire()-sent
	}
}

// show calls Progress until the phases end. It is the only goroutine that does.
func (d *demo) show(up context.Context) {
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	s := Snapshot{Phase: Starting, For: d.o.For}
	for i, at := range d.net.at {
		s.Nodes = append(s.Nodes, NodeSnapshot{ID: d.net.nodes[i].ID().String(), Address: at.String(), Producer: d.net.producer[i]})
	}
	var ready, loaded time.Time
	for {
		if d.o.Progress != nil {
			d.look(up, &s)
			s.Waiting = ""
			if w := d.waiting.Load(); w != nil {
				s.Waiting = *w
			}
			if !ready.IsZero() {
				s.Elapsed = time.Since(ready)
				load := s.Elapsed
				if !loaded.IsZero() {
					load = loaded.Sub(ready)
				}
				s.Rate = float64(s.Published) / max(load.Seconds(), 1)
			}
			d.o.Progress(s.clone())
		}
		select {
		case phase, more := <-d.phase:
			switch {
			case !more:
				return
			case phase == Loading:
				ready = time.Now()
			case phase == Draining:
				loaded = time.Now()
			}
			s.Phase = phase
		case <-tick.C:
		}
	}
}

// look brings s up to date. What a node does not answer stays as it was.
func (d *demo) look(up context.Context, s *Snapshot) {
	for i, n := range d.net.nodes {
		at := &s.Nodes[i]
		if st, err := n.Backend().Status(up); err == nil {
			at.Height, at.Final, at.Mempool = st.Head.Height, st.Final.Height, st.Mempool.Count
		}
		peers, err := n.Backend().Peers(up)
		if err != nil {
			continue
		}
		at.Peers, at.TxMesh, at.BlockMesh = len(peers), 0, 0
		for _, p := range peers {
			if p.InTxMesh {
				at.TxMesh++
			}
			if p.InBlockMesh {
				at.BlockMesh++
			}
		}
	}
	d.watch.show(s)
}
