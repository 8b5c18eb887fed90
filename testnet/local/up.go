package local

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// UpOptions say how to bring a network up.
type UpOptions struct {
	Dir     string
	Plan    Plan     // zero fields: what the network of the folder has, or the default
	Program []string // to start daemons with, before `run --home`; empty is this program
	Cores   []int    // to pin daemons to, in turns; empty is anywhere

	Ready func(*Status)                      // called once, when every node is ready and connected; may be nil
	Ended func(name, why string, log string) // called when a daemon ends by itself; may be nil
}

// ErrEarly is the error of a network that was ended before it was ready.
var ErrEarly = errors.New("it was ended before the network was ready")

// Up brings up the network of a folder, and makes it first where the folder is
// empty or not there. It returns when ctx has ended and every daemon has. A
// daemon that ends by itself is told and left alone. Errors: a [Problem] of the
// folder, a plan that cannot be, a daemon that did not come up (after the
// others were stopped), [ErrEarly].
func Up(ctx context.Context, o UpOptions) error {
	dir, s, err := o.prepare(ctx)
	if err != nil {
		return err
	}
	f, err := newFleet(dir, s, o.Program)
	if err != nil {
		return err
	}
	defer f.close()
	f.cores = o.Cores
	if o.Ended != nil {
		f.died = func(i int, why string) { o.Ended(s.Nodes[i].Name, why, s.Nodes[i].Log) }
	}
	ready := false
	err = f.run(ctx, func(ctx context.Context) error {
		ready = true
		if o.Ready != nil {
			st, err := Look(ctx, dir)
			if err != nil {
				return err
			}
			o.Ready(st)
		}
		<-ctx.Done()
		return nil
	})
	if ctx.Err() != nil && !ready {
		return ErrEarly
	}
	return err
}

// prepare is [prepare] with the folder's full name. A network that runs is
// said to, whatever the plan.
func (o UpOptions) prepare(ctx context.Context) (string, *State, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", nil, err
	}
	if s, err := settled(dir); err == nil && s.Phase != Off {
		return "", nil, fmt.Errorf("%s: %w (process %d)", dir, Running, s.Supervisor)
	}
	s, err := prepare(ctx, dir, o.Plan)
	if ctx.Err() != nil {
		err = ErrEarly
	}
	return dir, s, err
}

// Detach does what Up does in a process of its own, which goes on when this one
// ends, and returns when the network is ready. Command is the command line that
// makes this program call Up for the same folder; what it prints goes to
// [SupervisorLog] in there. When ctx ends earlier the network is stopped.
func Detach(ctx context.Context, o UpOptions, command ...string) (*Status, error) {
	dir, _, err := o.prepare(ctx)
	if err != nil {
		return nil, err
	}
	log, err := createLog(filepath.Join(dir, SupervisorLog))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	err = cmd.Start()
	log.Close() // the process has its own copy
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	for {
		st, err := Look(ctx, dir)
		if err == nil && st.Phase == On && st.Ready {
			return st, nil // the goroutine above ends with this process, or the other
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("the network did not come up: %s", lastWords(filepath.Join(dir, SupervisorLog)))
		case <-ctx.Done():
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopWithin)
			defer cancel()
			_ = p.stop(limit.Done()) // it reports its own end; ErrEarly says what matters
			return nil, ErrEarly
		case <-time.After(2 * pollEvery):
		}
	}
}

// SupervisorLog is where a detached network says what happens to it.
const SupervisorLog = "supervisor.log"
