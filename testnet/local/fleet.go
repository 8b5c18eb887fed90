package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet"
)

const (
	// startWithin is how long one daemon may take to answer, and the network
	// after that to come together. Both take a second or two on a laptop; the
	// rest is for machines that do ten things at once.
	startWithin = 60 * time.Second
	joinWithin  = 90 * time.Second

	pollEvery = 50 * time.Millisecond

	// askWithin is far beyond what a healthy daemon takes.
	askWithin = 5 * time.Second
)

// fleet is the daemons of one network, the attackers among them, and the one
// who runs them.
type fleet struct {
	dir     string   // absolute
	program []string // what to start, before `run`
	cores   []int    // daemons run on these, in turns; empty is anywhere
	wave    time.Duration
	started func(i int)             // a daemon answers; may be nil
	died    func(i int, why string) // one ended, when all were up, that was not asked to; may be nil
	daemons []Daemon                // as they were found; what changes is in state
	leaving func()                  // called before the daemons are stopped; may be nil
	starter *starter                // while run runs
	clients []*api.Client           // by daemon

	attackers []*attacker
	rest      []int             // cores that attackers run on, in turns; empty is anywhere
	lost      func(x *attacker) // one ended, when all were up, that was not asked to; may be nil

	watchers sync.WaitGroup

	mu       sync.Mutex // guards what follows
	state    *State
	procs    []*process // nil where not started
	away     []bool     // daemons that were asked to go away for a while
	stopping bool
}

// newFleet makes a fleet of a network. Close lets go of its clients.
func newFleet(dir string, s *State, program []string) (*fleet, error) {
	if len(program) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		program = []string{self}
	}
	f := &fleet{dir: dir, state: s, daemons: slices.Clone(s.Nodes), program: program, procs: make([]*process, len(s.Nodes)), away: make([]bool, len(s.Nodes))}
	for _, d := range s.Nodes {
		client, err := api.NewClient(api.Options{Socket: d.APISocket, Network: s.NetworkID, Timeout: askWithin})
		if err != nil {
			f.close()
			return nil, err
		}
		f.clients = append(f.clients, client)
	}
	return f, nil
}

func (f *fleet) close() {
	for _, c := range f.clients {
		c.Close()
	}
}

// run starts the daemons one after the other, calls during once they are ready
// and connected, and stops them. When it returns, none of them runs any more.
func (f *fleet) run(ctx context.Context, during func(context.Context) error) (err error) {
	l, err := lock(ctx, f.dir)
	if err != nil {
		return err
	}
	release, err := claim(f.dir, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if s := orphans(f.state); len(s) > 0 {
		return fmt.Errorf("%s: %w: %s runs without anybody who runs the network", f.dir, Running, s[0].Name)
	}
	if err := f.enter(Starting); err != nil {
		return err
	}
	f.starter = newStarter()
	defer f.starter.close()
	defer f.watchers.Wait()
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.attack(f.starter); err != nil {
		return err
	}
	if err := f.launch(ctx); err != nil {
		return err
	}
	if err := f.join(ctx); err != nil {
		return err
	}
	if err := f.enter(On); err != nil {
		return err
	}
	if err := f.dead(); err != nil {
		return err
	}
	return during(ctx)
}

// launch starts every daemon, each when those that it dials listen: a dial
// that fails is repeated only after a pause.
func (f *fleet) launch(ctx context.Context) error {
	began := time.Now()
	for i := range f.procs {
		due := began.Add(f.wave * time.Duration(i) / time.Duration(len(f.procs)))
		if err := pause(ctx, time.Until(due)); err != nil {
			return err
		}
		if err := f.bring(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// bring starts one daemon and waits until it answers.
func (f *fleet) bring(ctx context.Context, i int) error {
	core := -1
	if len(f.cores) > 0 {
		core = f.cores[i%len(f.cores)]
	}
	p, err := f.starter.launch(command(f.program, "run", "--home", f.daemons[i].Home), f.daemons[i].Log, core)
	if err != nil {
		return fmt.Errorf("%s: %w", f.daemons[i].Name, err)
	}
	if err := f.launched(i, p); err != nil {
		return err
	}
	if err := f.answers(ctx, i); err != nil {
		return err
	}
	if f.started != nil {
		f.started(i)
	}
	return nil
}

// attack starts the attackers. They are there before the daemons, and dial them
// until they are up.
func (f *fleet) attack(s *starter) error {
	for i, x := range f.attackers {
		core := -1
		if len(f.rest) > 0 {
			core = f.rest[i%len(f.rest)]
		}
		if err := x.start(s, f.program, core); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		f.watchers.Go(func() {
			<-x.proc.done
			f.mu.Lock()
			unasked := !f.stopping && f.state.Phase == On
			f.mu.Unlock()
			if unasked && f.lost != nil {
				f.lost(x)
			}
		})
	}
	return nil
}

// pids are the processes of the daemons and attackers that were started.
func (f *fleet) pids() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []int
	for _, p := range f.procs {
		if p != nil {
			all = append(all, p.cmd.Process.Pid)
		}
	}
	for _, x := range f.attackers {
		all = append(all, x.proc.cmd.Process.Pid)
	}
	return all
}

// launched writes down a new process and watches it.
func (f *fleet) launched(i int, p *process) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.procs[i], f.away[i] = p, false
	f.state.Nodes[i].PID, f.state.Nodes[i].Ended = p.cmd.Process.Pid, ""
	f.watchers.Go(func() {
		<-p.done
		f.ended(i, p)
	})
	return f.state.save(f.dir)
}

// ended writes down that a process is no more.
func (f *fleet) ended(i int, p *process) {
	why := "exit status 0"
	if p.err != nil {
		why = p.err.Error()
	}
	f.mu.Lock()
	d := &f.state.Nodes[i]
	d.PID = 0
	asked, up := f.stopping || f.away[i], f.state.Phase == On
	if !asked {
		d.Ended = why
	}
	_ = f.state.save(f.dir) // a full disk; the process is gone all the same
	f.mu.Unlock()
	if up && !asked && f.died != nil { // before, it is the error of the start
		f.died(i, why)
	}
}

// enter begins a phase.
func (f *fleet) enter(p Phase) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Phase, f.state.Supervisor = p, os.Getpid()
	if p == Off {
		f.state.Supervisor = 0
	}
	f.stopping = p == Stopping || p == Off
	return f.state.save(f.dir)
}

// answers waits until a daemon listens and says so.
func (f *fleet) answers(ctx context.Context, i int) error {
	return f.until(ctx, startWithin, func(ctx context.Context) string {
		status, err := f.clients[i].Status(ctx)
		if err != nil || len(status.Addrs) == 0 {
			return f.daemons[i].Name + " does not answer yet"
		}
		return ""
	})
}

// join waits until every daemon is ready and connected, and the meshes join
// all of them.
func (f *fleet) join(ctx context.Context) error {
	return f.until(ctx, joinWithin, f.missing)
}

// until polls for what is missing until nothing is. A daemon that ends ends
// the wait.
func (f *fleet) until(ctx context.Context, limit time.Duration, missing func(context.Context) string) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		what := missing(within)
		if err := f.dead(); err != nil {
			return err
		}
		if what == "" {
			return nil
		}
		if pause(within, pollEvery) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the network did not come together within %v: %s", limit, what)
		}
	}
}

// dead is the error of a daemon that ended by itself.
func (f *fleet) dead() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.procs {
		if p != nil && !p.alive() && !f.away[i] {
			d := f.daemons[i]
			return fmt.Errorf("%s ended while the network started: %v; %s ends with:\n%s", d.Name, p.err, d.Log, lastWords(d.Log))
		}
	}
	for _, x := range f.attackers {
		if err := x.dead(); err != nil {
			return err
		}
	}
	return nil
}

// missing says what the network lacks, or nothing.
func (f *fleet) missing(ctx context.Context) string {
	peers := make([][]api.Peer, len(f.clients))
	lacks := make([]string, len(f.clients))
	var asks errgroup.Group
	for i, c := range f.clients {
		asks.Go(func() error {
			peers[i], lacks[i] = lack(ctx, c, f.daemons[i])
			return nil
		})
	}
	_ = asks.Wait() // it has no errors
	for _, l := range lacks {
		if l != "" {
			return l
		}
	}
	for _, x := range f.attackers {
		if !slices.ContainsFunc(peers, func(of []api.Peer) bool { return knows(of, x.id) }) {
			return x.name + " has no connection"
		}
	}
	return f.apart(peers)
}

func knows(peers []api.Peer, id string) bool {
	return slices.ContainsFunc(peers, func(p api.Peer) bool { return p.ID == id })
}

// lack says what one daemon lacks, or else what peers it has.
func lack(ctx context.Context, c *api.Client, d Daemon) ([]api.Peer, string) {
	status, err := c.Status(ctx)
	if err != nil {
		return nil, fmt.Sprintf("%s does not answer: %v", d.Name, err)
	}
	if !status.Ready {
		return nil, fmt.Sprintf("%s is not ready: %v", d.Name, status.Waiting)
	}
	peers, err := c.Peers(ctx)
	if err != nil {
		return nil, fmt.Sprintf("%s does not answer: %v", d.Name, err)
	}
	if len(peers) < d.Links {
		return nil, fmt.Sprintf("%s has %d of %d connections", d.Name, len(peers), d.Links)
	}
	return peers, ""
}

// apart says which mesh does not join all nodes, or nothing.
func (f *fleet) apart(peers [][]api.Peer) string {
	ids := make([]string, len(f.daemons))
	for i, d := range f.daemons {
		ids[i] = d.PeerID
	}
	for _, mesh := range []struct {
		name string
		in   func(api.Peer) bool
	}{
		{"transaction", func(p api.Peer) bool { return p.InTxMesh }},
		{"block", func(p api.Peer) bool { return p.InBlockMesh }},
	} {
		if n := testnet.Reach(peers, ids, mesh.in); n < len(ids) {
			return fmt.Sprintf("the %s mesh joins %d of %d nodes", mesh.name, n, len(ids))
		}
	}
	return ""
}

// stop ends all daemons side by side and says which did not end cleanly.
func (f *fleet) stop() error {
	if f.leaving != nil {
		f.leaving()
	}
	errs := []error{f.enter(Stopping)}
	limit, over := context.WithTimeout(context.Background(), stopWithin)
	defer over()
	stops := make([]error, len(f.procs)+len(f.attackers))
	var all sync.WaitGroup
	for i, x := range f.attackers {
		all.Go(func() { stops[len(f.procs)+i] = x.stop(limit.Done()) })
	}
	for i, p := range f.procs {
		if p == nil || !p.alive() {
			continue
		}
		all.Go(func() {
			if err := p.stop(limit.Done()); err != nil {
				stops[i] = fmt.Errorf("stop %s: %w; %s says more", f.daemons[i].Name, err, f.daemons[i].Log)
			}
		})
	}
	all.Wait()
	f.watchers.Wait()
	return errors.Join(append(append(errs, stops...), f.enter(Off))...)
}

// pause waits, or less if ctx ends; then it says why.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
