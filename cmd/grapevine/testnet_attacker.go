package main

import (
	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
)

// testnetAttackerCommand plays an attacker in a run of world local, which
// starts it. It is of no use to people, and hidden from them.
func (c *cli) testnetAttackerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "attacker",
		Short:  "Play an attacker, as told on standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := attack.Play(cmd.Context(), c.in); err != nil {
				return &failure{tried: "play an attacker", cause: err, remedy: "`grapevine testnet run` starts it where a scenario of world local has attackers"}
			}
			return nil
		},
	}
}
