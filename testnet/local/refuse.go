package local

import (
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// Check says everything that s, which must be valid, asks for and this world
// cannot do, with the places where it was written.
func Check(s *scenario.Scenario) error {
	var errs []error
	refuse := func(asked bool, path, why string) {
		if asked {
			errs = append(errs, fmt.Errorf("%s: %s is not to be had in world local: %s", s.At(path), path, why))
		}
	}
	const (
		shaped  = "real sockets on loopback cannot be shaped without rights over the system; leave it out, or take world sim"
		mempool = "its daemons make blocks of what is in their mempools; take blocks.producers and blocks.slot, or world sim"
	)
	refuse(s.World != report.WorldLocal, "world", fmt.Sprintf("it says %q", s.World))
	refuse(s.Relay != report.RelayGossip, "relay", fmt.Sprintf("daemons speak %s only", report.RelayGossip))
	honest := s.Nodes - s.Attacking()
	refuse(honest > MaxNodes, "nodes", fmt.Sprintf("it is %d, want at most %d beside attackers", honest, MaxNodes))
	refuse(s.Attacking() > MaxAttackers, "attackers", fmt.Sprintf("they are %d, want at most %d processes", s.Attacking(), MaxAttackers))
	n := s.Network
	_, regions := n.Latency.Regions()
	refuse(n.Latency.Range[1] > 0 || regions, "network.latency", shaped)
	refuse(n.Mbps > 0, "network.mbps", shaped)
	refuse(len(n.Classes) > 0, "network.classes", shaped)
	refuse(n.Loss > 0, "network.loss", shaped)
	refuse(n.Reorder > 0, "network.reorder", shaped)
	refuse(len(s.Partitions) > 0, "partitions", shaped)
	refuse(s.Silent > 0, "silent", "daemons are honest; take attackers of kind silent")
	for i := range s.Attackers {
		if err := attack.Check(&s.Attackers[i]); err != nil {
			at := fmt.Sprintf("attackers.%d", i)
			errs = append(errs, fmt.Errorf("%s: %s is wrong: %w", s.At(at), at, err))
		}
	}
	refuse(len(s.Churn) > 0 && (s.Txs.Origins == 0 || s.Txs.Origins >= honest), "churn", fmt.Sprintf("it restarts daemons that send nothing; set txs.origins to 1 or more, and less than the %d daemons", honest))
	refuse(s.Network.Dials >= honest && honest > 1 && len(s.Attackers) > 0, "network.dials", fmt.Sprintf("it is %d, and there are %d daemons beside the attackers", s.Network.Dials, honest))
	refuse(s.Blocks.Producers > honest, "blocks.producers", fmt.Sprintf("it is %d, and there are %d daemons beside the attackers", s.Blocks.Producers, honest))
	refuse(s.VerifyCost != 0, "verify_cost", "here checks take the time that they take")
	b := s.Blocks
	refuse(b.Count > 0, "blocks.count", mempool)
	refuse(b.Size > 0, "blocks.size", mempool)
	refuse(b.TxSize > 0, "blocks.tx_size", mempool)
	refuse(b.Every > 0, "blocks.every", mempool)
	refuse(b.Pooled > 0, "blocks.pooled", mempool)
	return errors.Join(errs...)
}

// What a run needs, in MB, measured with runs of 5 to 20 daemons.
const (
	perDaemonMB = 90.0
	perAttackMB = 40.0
	perTxKB     = 0.75   // one transaction in one daemon, and in what watches it, but for its bytes
	perTxByte   = 3.0    // times the bytes that a daemon keeps in memory: a full mempool's at most
	shapedBytes = 1300.0 // mean transaction of the real blocks
	spare       = 0.9    // share of the available memory that a run may take
)

// estimate is about how much memory a run needs at its peak, in MB.
func estimate(s *scenario.Scenario) float64 {
	txs, bytes := s.Volume(shapedBytes)
	kept := min(bytes, float64(mempool.DefaultConfig().MaxBytes))
	attackers := float64(s.Attacking())
	return attackers*perAttackMB + (float64(s.Nodes)-attackers)*(perDaemonMB+txs*perTxKB/1e3+kept*perTxByte/1e6)
}

// fits fails where a run would not fit in memory.
func fits(s *scenario.Scenario) error {
	free, ok := sim.AvailableMB()
	if !ok {
		return nil
	}
	if need := estimate(s); need > free*spare {
		txs, _ := s.Volume(shapedBytes)
		return fmt.Errorf("%d daemons and %.0f transactions need about %.1f GB of memory and %.1f GB are available; take fewer nodes (--nodes), or a larger machine",
			s.Nodes, txs, need/1e3, free/1e3)
	}
	return nil
}
