package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// Options of a run.
type Options struct {
	Progress func(Progress) // called from the goroutine of Run; may be nil
	Trace    bool           // also report what plots need
}

// Progress is how far a run is.
type Progress struct {
	Phase     string  `json:"phase"`
	VirtualS  float64 `json:"virtual_s"` // since the start of the network
	TotalS    float64 `json:"total_s"`   // of virtual time that the run will take
	WallS     float64 `json:"wall_s"`
	Published int     `json:"published"` // messages
	Delivered int     `json:"delivered"` // deliveries
}

// Run does the run that s describes, which must be valid, in a process of its
// own, and returns its report. The end of ctx kills that process. Errors: the
// run would not fit in memory, a node stopped or did not come up, virtual time
// stood still for two minutes, the process died (then with what it said last), ctx
// ended. What the run does not keep of
// its promises is no error; it is for Expect to judge.
func Run(ctx context.Context, s *scenario.Scenario, o Options) (*report.Report, error) {
	began := time.Now()
	fail := func(err error) (*report.Report, error) {
		return nil, fmt.Errorf("simulate %s: %w", s.Name, err)
	}
	limit, err := fits(s)
	if err != nil {
		return fail(err)
	}
	if s.VerifyCost == scenario.MeasuredCost {
		charged := *s
		if charged.VerifyCost, err = MeasureVerify(); err != nil {
			return fail(err)
		}
		s = &charged
	}
	home, err := os.MkdirTemp("", "grapevine-sim-")
	if err != nil {
		return fail(fmt.Errorf("make a temporary folder: %w", err))
	}
	defer os.RemoveAll(home)
	r, err := parent(ctx, job{s, home, o.Trace, limit, stuckAfter}, func(p Progress) {
		if o.Progress != nil {
			p.TotalS = (s.Start.Wave + s.Settle + s.LoadFor() + s.Drain).Seconds()
			p.WallS = time.Since(began).Seconds()
			o.Progress(p)
		}
	})
	if err != nil {
		return fail(err)
	}
	r.WallS = time.Since(began).Round(time.Millisecond).Seconds()
	return r, nil
}

// lingering is how long a killed child's pipes may stay open.
const lingering = 5 * time.Second

// parent starts a child for a job and listens to it until it ends.
func parent(ctx context.Context, j job, progress func(Progress)) (*report.Report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.WaitDelay = lingering
	var said tail
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the simulation: %w", err)
	}
	last, heard := converse(in, out, j, progress)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case last.Error != "":
		return nil, errors.New(last.Error)
	case err != nil:
		return nil, fmt.Errorf("the simulation died: %w: %s", err, said.reason())
	case last.Report == nil:
		return nil, fmt.Errorf("the simulation ended without a report (a program that runs simulations must call sim.Child first): %w", errors.Join(heard, errors.New(said.reason())))
	}
	return last.Report, nil
}

// converse gives a child its job and returns the last frame that is no progress.
// in stays open until the child closes out: its end would end the child.
func converse(in io.WriteCloser, out io.Reader, j job, progress func(Progress)) (last frame, err error) {
	defer in.Close()
	if err := json.NewEncoder(in).Encode(j); err != nil {
		return last, fmt.Errorf("tell the simulation what to run: %w", err)
	}
	frames := json.NewDecoder(out)
	for {
		var f frame
		if err := frames.Decode(&f); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			_, _ = io.Copy(io.Discard, out) // lest the child wait for a reader
			return last, err
		}
		if f.Progress != nil {
			progress(*f.Progress)
			continue
		}
		last = f
	}
}
