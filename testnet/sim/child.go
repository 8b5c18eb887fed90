package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// childEnv marks the process that does a run.
const childEnv = "GRAPEVINE_SIM_CHILD"

// job is what a child reads from its standard input. The end of that input
// means that nobody wants the run any more.
type job struct {
	Scenario *scenario.Scenario
	Home     string // an empty folder, which goes with a child that nobody wants any more
	Trace    bool
	MemoryMB int           // that the child should stay below
	Patience time.Duration // with virtual time that stands still
}

// frame is what a child writes to its standard output, one after the other.
type frame struct {
	Progress *Progress      `json:"progress,omitempty"`
	Report   *report.Report `json:"report,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// Child does the run that this process was started for, and exits; in any
// other process it returns at once. A program that calls Run calls it first
// thing in main, with the relays that it knows beside gossip, by the names
// that scenarios use; attackers go by AttackRelay.
func Child(relays map[string]Relay) {
	if os.Getenv(childEnv) == "" {
		return
	}
	all := map[string]Relay{report.RelayGossip: Gossip()}
	maps.Copy(all, relays)
	// Whatever the code under test prints must not get between the frames.
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	if err := child(out, all); err != nil {
		_ = out.Encode(frame{Error: err.Error()}) // a parent that is gone does not care
		os.Exit(1)
	}
}

const (
	// gcPercent trades memory for time: a run is short and what it allocates
	// mostly garbage. The memory limit keeps it honest.
	gcPercent = 300

	progressEvery = 200 * time.Millisecond

	exitOrphaned = 3

	// tidyTries bounds how often an orphan begins again to remove what its nodes
	// still write.
	tidyTries = 100
)

// orphaned ends this process when nobody wants its run any more: then nobody
// else removes its folder either.
func orphaned(home string) {
	for range tidyTries {
		if os.RemoveAll(home) == nil {
			break
		}
	}
	os.Exit(exitOrphaned)
}

func child(out *json.Encoder, relays map[string]Relay) error {
	in := json.NewDecoder(os.Stdin)
	var j job
	if err := in.Decode(&j); err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	signal.Ignore(syscall.SIGPIPE) // of a parent that is gone, the end of the input tells
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned(j.Home)
	}()
	backHeap(j.MemoryMB)
	debug.SetGCPercent(gcPercent)
	if j.MemoryMB > 0 {
		debug.SetMemoryLimit(int64(j.MemoryMB) << 20)
	}
	var (
		st   = new(status)
		r    *report.Report
		err  error
		done = make(chan struct{})
		told = make(chan struct{})
	)
	go func() {
		defer close(told)
		tell(out, j.Home, st, newWatchdog(j.Patience, progressEvery), done)
	}()
	bubble(func() {
		var g *stage
		if g, err = newStage(j, relays, st); err != nil {
			return
		}
		if err = g.play(); err == nil {
			r = g.report()
		}
	}, func() {
		close(done)
		<-told
		if err == nil && r == nil {
			err = errors.New("the run ended without a report")
		}
		last := frame{Report: r}
		if err != nil {
			last = frame{Error: err.Error()}
		}
		if out.Encode(last) != nil {
			orphaned(j.Home)
		}
		if err != nil {
			os.Exit(1)
		}
	})
	return nil
}

// tell shows progress until done. A run that hangs it ends, since nobody else can.
func tell(out *json.Encoder, home string, st *status, w *watchdog, done <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			p := st.read()
			if out.Encode(frame{Progress: &p}) != nil {
				orphaned(home)
			}
			if err := w.look(p); err != nil {
				_ = out.Encode(frame{Error: err.Error()})
				os.Exit(1)
			}
		}
	}
}
