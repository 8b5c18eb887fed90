package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func (c *cli) testnetSpreadCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "spread REPORT...",
		Short: "Say how far the figures of several runs lie apart",
		Long: `Say how far the figures of several runs lie apart: the least, the median and the
greatest of each, and the difference as a share of the median. Of several runs of
one seed, this is what a difference between two runs has to exceed to mean
anything.`,
		Example: `  for i in 1 2 3 4 5; do grapevine testnet run tx-50 --seed 1 --json $i.json; done
  grapevine testnet spread 1.json 2.json 3.json 4.json 5.json`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return unlessStopped(cmd.Context(), func() error { return c.testnetSpread(args) })
		},
	})
}

func (c *cli) testnetSpread(names []string) error {
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
