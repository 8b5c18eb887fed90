package sim

import (
	"fmt"
	"time"
)

// stuckAfter is how long a process that gets a core may work while virtual time
// stands still. Hundreds of nodes with the largest blocks take seconds for a
// moment of it; a goroutine that spins, or waits for what is outside of the bubble,
// takes for ever.
const stuckAfter = 2 * time.Minute

// watchdog notices that virtual time stands still. It counts looks instead of
// asking a clock, so that a process that was stopped meanwhile is not taken for
// one that hangs.
type watchdog struct {
	patience int           // looks; constant, as every
	every    time.Duration // between looks

	last  Progress
	still int // looks in a row at which nothing had moved
}

func newWatchdog(patience, every time.Duration) *watchdog {
	return &watchdog{patience: int(patience / every), every: every}
}

// look is called with how far the run is, at equal intervals, and says whether
// it hangs.
func (w *watchdog) look(p Progress) error {
	moved := p.VirtualS != w.last.VirtualS || p.Phase != w.last.Phase
	w.last = p
	if moved {
		w.still = 0
		return nil
	}
	if w.still++; w.still < w.patience {
		return nil
	}
	return fmt.Errorf("the simulation hangs: virtual time has stood still at %.1f s for %v (%s, %d messages published, %d deliveries)",
		p.VirtualS, time.Duration(w.still)*w.every, phaseName(p.Phase), p.Published, p.Delivered)
}

func phaseName(phase string) string {
	if phase == "" {
		return "not started"
	}
	return phase
}
