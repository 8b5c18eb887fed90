package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
)

func (c *cli) statusCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "status",
		Short: "Show a node at a glance",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			s, err := client.Status(cmd.Context())
			if err != nil {
				return nodeFailure("ask the node for its status", err)
			}
			var evidence []api.Equivocation
			if s.Equivocations > 0 {
				if evidence, err = client.Evidence(cmd.Context()); err != nil {
					return nodeFailure("ask the node for evidence", err)
				}
			}
			var faults []api.ProducerFault
			if s.ProducerFaults > 0 {
				if faults, err = client.ProducerFaults(cmd.Context()); err != nil {
					return nodeFailure("ask the node for faults of producers", err)
				}
			}
			return c.show(s, func(w io.Writer) { printStatus(w, s, evidence, faults) })
		},
	})
}

func printStatus(w io.Writer, s api.Status, evidence []api.Equivocation, faults []api.ProducerFault) {
	ready := "ready"
	if !s.Ready {
		ready = "not ready: " + strings.Join(s.Waiting, ", ")
	}
	pairs := []string{
		"network", fmt.Sprintf("%s (%s)", s.Network, s.NetworkID.Short()),
		"node", s.PeerID,
		"version", s.Version,
		"state", fmt.Sprintf("%s, up %s", ready, ago(time.Duration(s.Uptime)*time.Second)),
		"head", printRef(s.Head),
		"final", printRef(s.Final),
		"peers", fmt.Sprintf("%d, of which %d guests", s.Peers, s.Guests),
		"mempool", fmt.Sprintf("%d transactions, %s", s.Mempool.Count, size(uint64(s.Mempool.Bytes))),
	}
	if s.Members != nil {
		pairs = append(pairs, "members", countMembers(*s.Members))
	}
	if r := s.Reachability; r != nil && r.State == api.Unreachable {
		pairs = append(pairs, "reachability", "peers cannot reach this node, which works with those that it dials: open or forward the port, or set announce")
	} else if r != nil {
		pairs = append(pairs, "reachability", string(r.State))
	}
	if s.OneSidedLinks > 0 {
		pairs = append(pairs, "eclipse?", fmt.Sprintf("on %d links outside the mesh, peers keep giving transactions that the mesh does not bring", s.OneSidedLinks))
	}
	for _, aside := range s.SetAside {
		pairs = append(pairs, "damaged", "the store was, and is now in "+aside+": see the log for what could not be read; remove the folder when it is not needed")
	}
	if s.Syncing.Active {
		pairs = append(pairs, "catching up", catchingUp(s.Syncing))
	}
	if p := s.Producer; p != nil {
		turn := "not in the producer set"
		if p.Active {
			turn = fmt.Sprintf("%d blocks since the start", p.Produced)
		}
		pairs = append(pairs, "producer", p.Address+", "+turn)
	}
	for _, e := range evidence {
		pairs = append(pairs, "equivocation", fmt.Sprintf("%s signed %s and %s for slot %d, learnt %s ago",
			e.Producer, e.First, e.Second, e.Slot, ago(time.Since(time.UnixMilli(int64(e.Found))))))
	}
	for _, f := range faults {
		pairs = append(pairs, "producer fault", fmt.Sprintf("%s signed %s at height %d, slot %d: %s, found %s ago",
			f.Producer, f.Block, f.Height, f.Slot, strings.ReplaceAll(string(f.Fault), "_", " "), ago(time.Since(time.UnixMilli(int64(f.Found))))))
	}
	for _, a := range s.Addrs {
		pairs = append(pairs, "address", a)
	}
	facts(w, pairs...)
}

func printRef(r api.Ref) string {
	return fmt.Sprintf("height %d, slot %d, %s", r.Height, r.Slot, r.ID)
}

func (c *cli) peersCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "peers",
		Short: "List the peers of a node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			peers, err := client.Peers(cmd.Context())
			if err != nil {
				return nodeFailure("ask the node for its peers", err)
			}
			return c.show(api.Peers{Peers: peers}, func(w io.Writer) { printPeers(w, peers) })
		},
	})
}

func printPeers(w io.Writer, peers []api.Peer) {
	rows := make([][]string, 0, len(peers))
	for _, p := range peers {
		var mesh []string
		if p.InTxMesh {
			mesh = append(mesh, "tx")
		}
		if p.InBlockMesh {
			mesh = append(mesh, "block")
		}
		rtt := "–"
		if p.RTT > 0 {
			rtt = fmt.Sprintf("%.1f ms", p.RTT)
		}
		kind := p.Direction
		if p.Why != "" {
			kind += ", " + p.Why
		}
		if p.Guest {
			kind += ", guest"
		}
		addr := "–"
		if len(p.Addrs) > 0 {
			addr = p.Addrs[0]
		}
		rows = append(rows, []string{
			p.ID, kind, orDash(strings.Join(mesh, ",")), fmt.Sprintf("%.1f", p.Score),
			rtt, strconv.FormatUint(p.Height, 10), ago(time.Since(time.UnixMilli(int64(p.Since)))), orDash(p.Network), addr,
		})
	}
	table(w, []string{"PEER", "DIRECTION", "MESH", "SCORE", "RTT", "HEIGHT", "SINCE", "NETWORK", "ADDRESS"}, rows)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (c *cli) mempoolCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "mempool",
		Short: "Sum up the transactions that wait for a block",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			const tried = "ask the node for its mempool"
			pool, err := client.Mempool(cmd.Context())
			if err != nil {
				return nodeFailure(tried, err)
			}
			fees, err := client.Fees(cmd.Context())
			if err != nil {
				return nodeFailure(tried, err)
			}
			report := mempoolReport{pool, fees}
			return c.show(report, report.print)
		},
	})
}

// mempoolReport is the pool and what it takes to get in.
type mempoolReport struct {
	api.Mempool
	Fees api.Fees `json:"fees_per_1000_bytes"`
}

func (r mempoolReport) print(w io.Writer) {
	facts(
		w,
		"transactions", fmt.Sprintf("%d of at most %d", r.Count, r.MaxCount),
		"bytes", fmt.Sprintf("%s of at most %s", size(uint64(r.Bytes)), size(uint64(r.MaxBytes))),
		"ready for a block", strconv.Itoa(r.Executable),
		"waiting for an earlier nonce", strconv.Itoa(r.Waiting),
		"senders", strconv.Itoa(r.Senders),
		"fee to enter, per 1000 bytes", r.Fees.Enter.String(),
		"fee, low / medium / high", fmt.Sprintf("%s / %s / %s", r.Fees.Low, r.Fees.Medium, r.Fees.High),
	)
}

// catchingUp says how far a node is, and when it will be there at this pace.
func catchingUp(s api.Syncing) string {
	text := fmt.Sprintf("at height %d of %d, from %d peers", s.Height, s.Target, s.Sources)
	if s.PerSecond > 0 {
		left := float64(s.Target-min(s.Height, s.Target)) / s.PerSecond
		text += fmt.Sprintf(", %.0f blocks a second, %s left", s.PerSecond, ago(time.Duration(left*float64(time.Second))))
	}
	return text
}
