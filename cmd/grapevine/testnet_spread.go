package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func (c *cli) testnetSpreadCommand() *cobra.Command {
	var each []string
	cmd := &cobra.Command{
		Use:   "spread REPORT...",
		Short: "Say how far the figures of several runs lie apart",
		Long: `Say how far the figures of several runs lie apart: the least, the median and the
greatest of each, and the difference as a share of the median. Of several runs of
one seed, this is what a difference between two runs has to exceed to mean
anything. With --each FIGURE, a row for each run with the figures named instead.`,
		Example: `  for i in 1 2 3 4 5; do grapevine testnet run tx-50 --seed 1 --json $i.json; done
  grapevine testnet spread 1.json 2.json 3.json 4.json 5.json
  grapevine testnet spread --each tx.delivered,tx.latency_ms.p99 *.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(each) > 0 {
				return cobra.MinimumNArgs(1)(cmd, args)
			}
			return cobra.MinimumNArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return unlessStopped(cmd.Context(), func() error { return c.testnetSpread(args, each) })
		},
	}
	cmd.Flags().StringSliceVar(&each, "each", nil, "figures to print of each run, as in conditions")
	return c.jsonFlag(cmd)
}

func (c *cli) testnetSpread(names, each []string) error {
	var (
		runs []*report.Report
		errs []error
	)
	for _, name := range names {
		r, err := report.ReadFile(name)
		runs, errs = append(runs, r), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return &failure{tried: "read the reports", cause: err, remedy: "`grapevine testnet run SCENARIO --json FILE` writes a report"}
	}
	if len(each) > 0 {
		if err := report.WriteEach(c.out, runs, each); err != nil {
			return &failure{tried: "print figures of each run", cause: err}
		}
		return nil
	}
	s, err := report.RepeatsOf(runs)
	if err == nil && c.json {
		err = c.document(s)
	} else if err == nil {
		err = s.WriteTable(c.out)
	}
	if err != nil {
		return &failure{tried: "print the spread", cause: err}
	}
	return nil
}
