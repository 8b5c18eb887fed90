package main

import (
	"context"

	"github.com/grapevine-p2p/grapevine/testnet/local"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// runLocal runs a scenario with real daemons.
func runLocal(ctx context.Context, s *scenario.Scenario, o testnetOptions) (*report.Report, error) {
	if err := local.Check(s); err != nil {
		return nil, wrongUsage("%w", err)
	}
	lo := local.Options{Trace: o.Trace, Cores: o.Cores}
	if o.Progress != nil {
		lo.Progress = func(p local.Progress) {
			o.Progress(testnetProgress{p.Phase, p.S, p.TotalS, p.Published, p.Delivered})
		}
	}
	return local.Run(ctx, s, lo)
}
