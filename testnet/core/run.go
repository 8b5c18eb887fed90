package core

import (
	"context"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// Options of a run. They change nothing of what happens in it.
type Options struct {
	Progress func(Progress) // called every few thousand steps; may be nil
	Trace    bool           // also report what plots need
	MemoryMB float64        // what the run may take, by the estimate of MemoryMB; zero is without bound
}

// Progress is how far a run is.
type Progress struct {
	Phase     string  `json:"phase"`     // start, settle, load or drain
	VirtualS  float64 `json:"virtual_s"` // since the start of the network
	TotalS    float64 `json:"total_s"`   // of virtual time that the run will take
	Published int     `json:"published"` // messages
	Delivered int     `json:"delivered"` // deliveries
	Steps     uint64  `json:"steps"`     // events carried out
}

// Run does the run that s describes, which must be valid, on the goroutine of
// the caller, and returns its report, which s has judged. Errors: the scenario
// asks for what this world does not have, or for more memory than it may take; an invariant was broken (then a
// [Violation], with seed, step and time); ctx ended.
func Run(ctx context.Context, s *scenario.Scenario, o Options) (*report.Report, error) {
	fail := func(err error) (*report.Report, error) {
		return nil, fmt.Errorf("simulate %s in world core, seed %d: %w", s.Name, s.Seed, err)
	}
	if err := s.Validate(); err != nil {
		return fail(err)
	}
	if s.World != report.WorldCore {
		return fail(fmt.Errorf("the scenario is for world %s", s.World))
	}
	if err := fits(s, o.MemoryMB); err != nil {
		return fail(err)
	}
	w, err := build(s, defaultGossip())
	if err != nil {
		return fail(err)
	}
	w.progress = o.Progress
	if err := w.run(ctx); err != nil {
		return fail(err)
	}
	r := w.report()
	if o.Trace {
		r.Trace = w.trace()
	}
	s.Judge(r)
	return r, nil
}

// epoch is where virtual time begins on the clocks of nodes. Any whole second
// will do.
var epoch = time.Unix(1_800_000_000, 0)

// build puts a world of nodes and attackers together.
func build(s *scenario.Scenario, tuning gossipConfig) (*world, error) {
	if err := tuning.Validate(); err != nil {
		return nil, err
	}
	r, err := deal(s)
	if err != nil {
		return nil, err
	}
	start := s.Start.Wave + s.Settle
	n, err := wallets(s, len(r.origins))
	if err != nil {
		return nil, err
	}
	k := newKeys(s, n, len(r.producers))
	g, err := genesisOf(s, k, epoch.Add(start))
	if err != nil {
		return nil, err
	}
	j, err := newJudge(g)
	if err != nil {
		return nil, err
	}
	c := &common{
		genesis: g, id: g.ID(), judge: j, tuning: tuning, limits: mempool.DefaultConfig(), epoch: epoch,
		blocks: len(k.producers) > 0,
	}
	c.fill = filler(s, c.id, j)
	w, err := newWorld(s, r, func(i int) (Machine, error) {
		m, err := seatOf(s, c, r, k, i)
		if err != nil || !s.Members {
			return m, err
		}
		return newMemberNode(m, c, s, i), nil
	})
	if err != nil {
		return nil, err
	}
	w.id = c.id
	if w.load, err = newLoad(s, k, c.id, r.origins, start); err != nil {
		return nil, err
	}
	if at, ok := w.load.next(); ok {
		w.queue.plan(event{at: at, what: submit})
	}
	return w, nil
}

// seatOf makes the machine of a node: honest, or an attacker over an honest
// one.
func seatOf(s *scenario.Scenario, c *common, r *roles, k keys, i int) (Machine, error) {
	start := s.Start.Wave + s.Settle
	end := start + s.LoadFor()
	if s.Blocks.Count > 0 {
		end = start + time.Duration(s.Blocks.Count)*s.Blocks.Every
	}
	var d *duty
	for turn, node := range r.producers {
		if node == i {
			key := k.producers[turn]
			d = &duty{key: key, address: c.genesis.Producers[0].Producers[turn], turn: uint64(turn), of: uint64(len(r.producers)), until: end}
		}
	}
	honest, err := newNode(c, stream(s.Seed, forNode, i), d)
	if err != nil || r.attacker[i] == nil {
		return honest, err
	}
	a := r.attacker[i]
	from, to := start+a.From, start+a.To
	if a.To == 0 {
		to = start + s.LoadFor() + s.Drain + time.Second
	}
	return corrupt(honest, a, c, from, to, r.victim)
}
