package sim

import (
	"context"
	"errors"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Options of a run.
type Options struct {
	Progress func(Progress) // called from one goroutine; may be nil
	Trace    bool           // also report what plots need
}

// Progress is how far a run is.
type Progress struct {
	Phase     string  `json:"phase"`
	VirtualS  float64 `json:"virtual_s"` // since the start of the network
	TotalS    float64 `json:"total_s"`   // of virtual time that the run will take
	WallS     float64 `json:"wall_s"`
	Nodes     int     `json:"nodes"` // up at present
	Published int     `json:"published"`
	Delivered int     `json:"delivered"`
}

// Child does the run that this process was started for, and exits; in any
// other process it returns at once. A program that calls Run calls it first
// thing in main, with the relays that it knows beside gossip.
func Child(relays map[string]Relay) {}

// Run does the run that s describes in a process of its own and returns its
// report.
func Run(ctx context.Context, s *Scenario, o Options) (*report.Report, error) {
	return nil, errors.New("sim: not built yet")
}
