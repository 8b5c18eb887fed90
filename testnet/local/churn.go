package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// restart is one daemon that goes away for a while.
type restart struct {
	at   time.Duration // since the load began
	down time.Duration
	node int
}

// restartsOf are those that s asks for, in order: evenly spread over their
// time, of the daemons that send nothing, in turns.
func restartsOf(s *scenario.Scenario) []restart {
	honest := s.Nodes - s.Attacking()
	var all []restart
	for _, c := range s.Churn {
		n := c.Restarts(honest)
		for k := range n {
			all = append(all, restart{at: c.From + (c.To-c.From)*time.Duration(k)/time.Duration(n), down: c.Down})
		}
	}
	slices.SortStableFunc(all, func(a, b restart) int { return cmp.Compare(a.at, b.at) })
	for k := range all {
		all[k].node = s.Txs.Origins + k%(honest-s.Txs.Origins)
	}
	return all
}

// churn restarts daemons as the scenario says, and returns when the last one
// is back.
func (r *run) churn(ctx context.Context) error {
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for _, x := range restartsOf(r.s) {
		if pause(ctx, time.Until(r.figures.loaded.Add(x.at))) != nil {
			break
		}
		all.Go(func() {
			if err := r.restart(ctx, x); err != nil && ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("restart %s: %w", r.fleet.daemons[x.node].Name, err))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// restart lets one daemon be away. One that is away already is left alone.
func (r *run) restart(ctx context.Context, x restart) error {
	if !r.fleet.leave(x.node) {
		return nil
	}
	if err := r.meter.carry(ctx, x.node); err != nil {
		return err
	}
	r.watch.unwatch(x.node)
	r.tally.left(x.node, time.Now())
	if err := r.fleet.bounce(ctx, x.node, x.down); err != nil {
		return err
	}
	r.tally.back(x.node, time.Now())
	return nil
}

// leave takes note that a daemon is about to go away, unless it is away.
func (f *fleet) leave(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.away[i]
	f.away[i] = true
	return !was
}

// bounce stops a daemon that is about to go away and starts it again after a
// while.
func (f *fleet) bounce(ctx context.Context, i int, down time.Duration) error {
	f.mu.Lock()
	p := f.procs[i]
	f.mu.Unlock()
	limit, over := context.WithTimeout(ctx, stopWithin)
	defer over()
	if err := p.stop(limit.Done()); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return f.bring(ctx, i)
}
