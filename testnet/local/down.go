package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// Down stops the network of a folder, whoever runs it, and returns how many
// daemons it had to stop; none is no error. When it returns without one, no
// process and no lock of the network is left.
func Down(ctx context.Context, dir string) (int, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	s, err := settled(dir)
	if err != nil {
		return 0, err
	}
	stopped := 0
	for _, d := range s.Nodes {
		if d.PID != 0 {
			stopped++
		}
	}
	l, err := takeOver(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	// What is left has lost the one who ran it. Nobody starts anything now.
	if s, err = readState(dir); err != nil {
		return 0, err
	}
	if err := endOrphans(ctx, s); err != nil {
		return 0, err
	}
	s.Phase, s.Supervisor = Off, 0
	for i := range s.Nodes {
		s.Nodes[i].PID = 0
	}
	return stopped, errors.Join(s.save(dir), l.Close())
}

// takeOver asks the one who runs the network to stop it, and takes the lock
// when that is done.
func takeOver(ctx context.Context, dir string) (*flock.Flock, error) {
	limit, cancel := context.WithTimeout(ctx, 2*stopWithin)
	defer cancel()
	for asked := 0; ; {
		// Once only: a second signal would end it before its daemons.
		if pid := holder(dir); pid != 0 && pid != asked && held(dir) {
			if err := kill(pid, syscall.SIGTERM); err != nil {
				return nil, fmt.Errorf("stop process %d, which runs the network of %s: %w", pid, dir, err)
			}
			asked = pid
		}
		l, err := lock(limit, dir)
		if !errors.Is(err, Running) {
			if limit.Err() != nil && ctx.Err() == nil {
				return nil, fmt.Errorf("process %d, which runs the network of %s, did not stop within %v; end it with kill -9, and try again", holder(dir), dir, 2*stopWithin)
			}
			return l, err
		}
	}
}

// endOrphans stops daemons that nobody runs. Their homes' locks prove that the
// processes are theirs.
func endOrphans(ctx context.Context, s *State) error {
	limit, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	for _, d := range orphans(s) {
		if d.PID == 0 {
			return fmt.Errorf("%s is locked by a process that is not known; end it, and try again", d.Home)
		}
		if err := kill(d.PID, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop %s, process %d: %w", d.Name, d.PID, err)
		}
	}
	for {
		left := orphans(s)
		if len(left) == 0 {
			return nil
		}
		if pause(limit, pollEvery) == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, d := range left {
			if d.PID == 0 {
				continue
			}
			if err := kill(d.PID, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill %s, process %d: %w", d.Name, d.PID, err)
			}
		}
		limit, cancel = context.WithTimeout(ctx, stopWithin)
		defer cancel()
	}
}

// kill sends a signal. A process that is gone needs none.
func kill(pid int, sig os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func createLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}
