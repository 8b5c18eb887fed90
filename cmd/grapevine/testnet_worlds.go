package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/core"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/testnet/stock"
)

// simRelays are what simulated hosts can run beside whole nodes.
var simRelays = stock.Relays()

// beChild does the simulation that this process was started for, and ends it.
// In any other process it does nothing.
func beChild() {
	seats := maps.Clone(simRelays)
	maps.Copy(seats, attack.Relays())
	sim.Child(seats)
}

// testnetProgress is how far a run is, in any world.
type testnetProgress struct {
	Phase     string
	At, Total float64 // seconds of the run's own time; Total is zero where it is not known
	Published int     // messages
	Delivered int     // deliveries
}

// testnetOptions are those of a run in any world.
type testnetOptions struct {
	Progress func(testnetProgress) // may be nil
	Trace    bool                  // plots will be drawn
	Cores    []int                 // world local: where daemons run, in turns
}

// world is a place in which a scenario can run.
type world struct {
	relays []string
	run    func(context.Context, *scenario.Scenario, testnetOptions) (*report.Report, error)
}

// worlds are those that are built in, by the names that scenarios use.
func worlds() map[string]world {
	inSim := []string{report.RelayGossip}
	for name := range simRelays {
		inSim = append(inSim, name)
	}
	slices.Sort(inSim)
	return map[string]world{
		report.WorldSim:   {inSim, runSim},
		report.WorldCore:  {[]string{report.RelayGossip}, runCore},
		report.WorldLocal: {[]string{report.RelayGossip}, runLocal},
	}
}

// worldOf returns the world that s runs in, or says that there is none in this
// program.
func worldOf(s *scenario.Scenario) (world, error) {
	w, ok := worlds()[s.World]
	if !ok {
		return world{}, wrongUsage("world %s is not built into this program yet, want %s", s.World, strings.Join(builtIn(), " or "))
	}
	if !slices.Contains(w.relays, s.Relay) {
		return world{}, wrongUsage("relay %s is not built into world %s of this program yet, want %s", s.Relay, s.World, strings.Join(w.relays, " or "))
	}
	return w, nil
}

func builtIn() []string {
	var names []string
	for name := range worlds() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func runSim(ctx context.Context, s *scenario.Scenario, o testnetOptions) (*report.Report, error) {
	for i := range s.Attackers {
		if err := attack.Check(&s.Attackers[i]); err != nil {
			return nil, wrongUsage("%v", err)
		}
	}
	so := sim.Options{Trace: o.Trace}
	if o.Progress != nil {
		so.Progress = func(p sim.Progress) {
			o.Progress(testnetProgress{p.Phase, p.VirtualS, p.TotalS, p.Published, p.Delivered})
		}
	}
	return sim.Run(ctx, s, so)
}

// spareMemory is the share of the available memory that a run may take.
const spareMemory = 0.9

func runCore(ctx context.Context, s *scenario.Scenario, o testnetOptions) (*report.Report, error) {
	co := core.Options{Trace: o.Trace}
	if free, ok := sim.AvailableMB(); ok {
		co.MemoryMB = free * spareMemory
	}
	if o.Progress != nil {
		co.Progress = func(p core.Progress) {
			o.Progress(testnetProgress{p.Phase, p.VirtualS, p.TotalS, p.Published, p.Delivered})
		}
	}
	return core.Run(ctx, s, co)
}
