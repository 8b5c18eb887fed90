package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
)

func (c *cli) scoresCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "scores [PEER]",
		Short: "Show what a node thinks of its peers, or explain it of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				s, err := client.Score(cmd.Context(), args[0])
				if err != nil {
					return nodeFailure("ask the node for a score", err)
				}
				return c.show(s, func(w io.Writer) { printScore(w, s) })
			}
			list, err := client.Scores(cmd.Context())
			if err != nil {
				return nodeFailure("ask the node for scores", err)
			}
			return c.show(api.Scores{Scores: list}, func(w io.Writer) { printScores(w, list) })
		},
	})
}

func printScores(w io.Writer, list []api.Score) {
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		worst, value := "", 0.0
		for _, t := range s.Terms {
			if t.Value < value {
				worst, value = t.Why, t.Value
			}
		}
		rows = append(rows, []string{
			s.Peer, number(s.Score), number(s.Tx), number(s.Block), number(s.Guilt), number(s.Doubt), number(s.Merit), orDash(worst),
		})
	}
	table(w, []string{"PEER", "SCORE", "TX", "BLOCK", "GUILT", "DOUBT", "MERIT", "WORST"}, rows)
}

func printScore(w io.Writer, s api.Score) {
	pairs := []string{"peer", s.Peer, "score", number(s.Score), "transactions", number(s.Tx), "blocks", number(s.Block)}
	if s.BannedUntil > 0 {
		pairs = append(pairs, "banned until", day(s.BannedUntil))
	}
	facts(w, pairs...)
	if len(s.Terms) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := make([][]string, 0, len(s.Terms))
	for _, t := range s.Terms {
		of := t.Of
		if of == "" {
			of = "both"
		}
		rows = append(rows, []string{t.Name, of, number(t.Value), t.Why})
	}
	table(w, []string{"TERM", "OF", "VALUE", "WHY"}, rows)
}

func number(x float64) string { return fmt.Sprintf("%.2f", x) }

// day is a time for people.
func day(ms uint64) string { return time.UnixMilli(int64(ms)).UTC().Format(time.RFC3339) }

func (c *cli) peerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "Keep peers, addresses and networks out",
	}
	cmd.AddCommand(c.peerBanCommand(), c.peerUnbanCommand(), c.peerBansCommand())
	return cmd
}

func (c *cli) peerBanCommand() *cobra.Command {
	var r api.BanRequest
	cmd := c.nodeFlags(&cobra.Command{
		Use:   "ban PEER|ADDRESS|CIDR",
		Short: "Ban a peer, an IP address or a network, and disconnect it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.For < time.Second {
				return wrongUsage("--for: %v, want a second or more", r.For)
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			r.Subject = args[0]
			b, err := client.Ban(cmd.Context(), r)
			if err != nil {
				return nodeFailure("ban "+args[0], err)
			}
			return c.show(b, func(w io.Writer) { fmt.Fprintf(w, "%s is banned until %s\n", b.Subject, day(b.Until)) })
		},
	})
	cmd.Flags().DurationVar(&r.For, "for", api.DefaultBan, "how long")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for those who read the list")
	return cmd
}

func (c *cli) peerUnbanCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "unban PEER|ADDRESS|CIDR",
		Short: "Lift a ban",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			b, err := client.Unban(cmd.Context(), args[0])
			if err != nil {
				return nodeFailure("lift the ban of "+args[0], err)
			}
			return c.show(b, func(w io.Writer) { fmt.Fprintf(w, "%s is banned no more\n", b.Subject) })
		},
	})
}

func (c *cli) peerBansCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "bans",
		Short: "List the bans in force",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			list, err := client.Bans(cmd.Context())
			if err != nil {
				return nodeFailure("ask the node for its bans", err)
			}
			return c.show(api.Bans{Bans: list}, func(w io.Writer) { printBans(w, list) })
		},
	})
}

func printBans(w io.Writer, list []api.Ban) {
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		by := "reputation"
		if b.ByHand {
			by = "hand"
		}
		rows = append(rows, []string{b.Subject, day(b.Until), by, orDash(b.Reason)})
	}
	table(w, []string{"BANNED", "UNTIL", "BY", "REASON"}, rows)
}
