package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
)

func (c *cli) membersCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "members",
		Short: "List the nodes of the network, connected to this one or not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			members, err := client.Members(cmd.Context())
			if err != nil {
				return nodeFailure("ask the node for the members of the network", err)
			}
			return c.show(members, func(w io.Writer) { printMembers(w, members) })
		},
	})
}

func printMembers(w io.Writer, m api.Members) {
	rows := make([][]string, 0, len(m.Members))
	for _, m := range m.Members {
		link := ""
		if m.Linked {
			link = "yes"
		}
		addr := ""
		if len(m.Addrs) > 0 {
			addr = m.Addrs[0]
		}
		rows = append(rows, []string{
			m.ID, m.State, ago(time.Since(time.UnixMilli(int64(m.Since)))), ago(time.Since(time.UnixMilli(int64(m.Proof)))),
			orDash(link), orDash(addr),
		})
	}
	table(w, []string{"MEMBER", "STATE", "SINCE", "PROOF", "PEER", "ADDRESS"}, rows)
	fmt.Fprintf(w, "\n%s\n", countMembers(m.MemberCount))
}

func countMembers(m api.MemberCount) string {
	return fmt.Sprintf("about %d nodes; beside this one %d alive, %d suspect, %d dead", m.NetworkSize, m.Alive, m.Suspect, m.Dead)
}
