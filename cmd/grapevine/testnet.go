package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/page"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

func (c *cli) testnetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "testnet",
		Short: "Run testnets, and compare what they measured",
	}
	cmd.AddCommand(c.testnetRunCommand(), c.testnetListCommand(), c.testnetCompareCommand(), c.testnetSpreadCommand(), c.testnetAttackerCommand())
	cmd.AddCommand(c.testnetLocalCommands()...)
	return cmd
}

func (c *cli) testnetListCommand() *cobra.Command {
	attackers := false
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "list",
		Short: "List the scenarios that come with the program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if attackers {
				return c.listAttackers()
			}
			infos, err := scenario.Shipped()
			if err != nil {
				return &failure{tried: "list the scenarios", cause: err}
			}
			return c.show(infos, func(w io.Writer) {
				rows := make([][]string, len(infos))
				for i, info := range infos {
					rows[i] = []string{info.Name, info.World, info.Relay, fmt.Sprint(info.Nodes), firstSentence(info.Description)}
				}
				table(w, []string{"SCENARIO", "WORLD", "RELAY", "NODES", "WHAT"}, rows)
			})
		},
	})
	cmd.Flags().BoolVar(&attackers, "attackers", false, "list the kinds of attackers instead, and their params")
	return cmd
}

func (c *cli) listAttackers() error {
	kinds := attack.Describe()
	return c.show(kinds, func(w io.Writer) {
		var rows [][]string
		for _, k := range kinds {
			rows = append(rows, []string{k.Name, "", k.Breaks})
			for _, p := range k.Params {
				rows = append(rows, []string{"", p.Name, fmt.Sprintf("%s: %s", p.Means, p.Takes)})
			}
		}
		table(w, []string{"ATTACKER", "PARAM", "WHAT"}, rows)
	})
}

// firstSentence cuts a description to what fits in a list.
func firstSentence(text string) string {
	for i := range text {
		if text[i] == '.' && i+1 < len(text) && text[i+1] == ' ' {
			return text[:i+1]
		}
	}
	return text
}

func (c *cli) testnetCompareCommand() *cobra.Command {
	var failIf []string
	var svg string
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Put two reports side by side",
		Long: `Put two reports side by side, with the ratio of B to A for every figure.

It fails (exit status 1) if B broke what its scenario expects, or if a --fail-if
is true of B. A condition names a figure of the report and compares it with a
number, with a multiple of the same figure in A, or with a multiple of another
figure in B.`,
		Example: `  grapevine testnet compare before.json after.json \
    --fail-if 'tx.latency_ms.p99 > 1.1x' --fail-if 'tx.delivery_ratio < 1'
  grapevine testnet compare stock.json ours.json --fail-if 'tx.latency_ms.p99 > 2x floor_ms.p99'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return unlessStopped(cmd.Context(), func() error { return c.testnetCompare(args[0], args[1], failIf, svg) })
		},
	})
	cmd.Flags().StringArrayVar(&failIf, "fail-if", nil, "fail if this is true of B; may be given again")
	cmd.Flags().StringVar(&svg, "svg", "", "draw the deliveries of both to files in this folder")
	return cmd
}

func (c *cli) testnetCompare(nameA, nameB string, failIf []string, svg string) error {
	conditions := make([]report.Condition, len(failIf))
	for i, text := range failIf {
		var err error
		if conditions[i], err = report.ParseCondition(text); err != nil {
			return wrongUsage("--fail-if %w", err)
		}
	}
	a, errA := report.ReadFile(nameA)
	b, errB := report.ReadFile(nameB)
	if err := errors.Join(errA, errB); err != nil {
		return &failure{tried: "compare the reports", cause: err, remedy: "`grapevine testnet run SCENARIO --json FILE` writes a report"}
	}
	comparison, err := report.Compare(a, b, conditions)
	if err != nil {
		return &failure{tried: "compare the reports", cause: err, remedy: "leave that --fail-if out, or run a scenario that measures the figure"}
	}
	if c.json {
		err = c.document(comparison)
	} else {
		err = comparison.WriteTable(c.out)
	}
	if err != nil {
		return &failure{tried: "print the comparison", cause: err}
	}
	if svg != "" {
		prefix := fmt.Sprintf("%s-%s-%s", a.Scenario, a.Relay, b.Relay)
		if err := writePlots(svg, prefix, page.Versus(a, b)); err != nil {
			return &failure{tried: "draw the comparison", cause: err}
		}
	}
	return brokenExpectations("find B as good as it has to be", comparison.FailedExpectations)
}
