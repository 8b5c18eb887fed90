package core

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// What a run needs, in MB, as it was found with 100 to 1,000 nodes.
const (
	baseMB       = 40.0   // the program
	perNodeMB    = 0.15   // one node and its links
	perTxMB      = 0.0003 // one transaction in one node, but for its bytes: pool, seen set, watch
	sharedCopies = 2.5    // of each transaction's bytes, in the whole run: nodes share what travels
	ownCopies    = 1.2    // of those in one node's pool
	shapedBytes  = 1300.0 // mean transaction of the real blocks
	perAccountMB = 0.0004 // one account in one node: ledger, and its chain in the pool
	blockCopies  = 6.0    // of each block's bytes, in the whole run: nodes share them
)

// MemoryMB is about how much memory a run takes at its peak, in 10^6 bytes.
func MemoryMB(s *scenario.Scenario) float64 {
	txs, bytes := s.Volume(shapedBytes)
	pooledMB := min(bytes, float64(mempool.DefaultConfig().MaxBytes)) / 1e6
	accounts := 0.0
	if txs > 0 {
		accounts = float64(min(s.Nodes, MaxWallets))
	}
	blocks := float64(s.Blocks.Count) * float64(s.Blocks.Size) / 1e6 * blockCopies
	return baseMB + blocks + bytes/1e6*sharedCopies +
		float64(s.Nodes)*(perNodeMB+txs*perTxMB+pooledMB*ownCopies+accounts*perAccountMB)
}

// fits fails where a run would take more than it may.
func fits(s *scenario.Scenario, mayMB float64) error {
	if need := MemoryMB(s); mayMB > 0 && need > mayMB {
		return fmt.Errorf("%d nodes with %.0f transactions need about %.1f GB of memory and %.1f GB are to be had; take fewer nodes or a shorter load",
			s.Nodes, s.Txs.PerSecond*s.Txs.For.Seconds(), need/1e3, mayMB/1e3)
	}
	return nil
}
