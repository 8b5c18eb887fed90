package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
)

const (
	costTxs    = 64  // that are judged in one round
	costRounds = 16  // of which the quickest counts: what else runs only adds
	costSize   = 250 // bytes, as most transactions have
)

// MeasureVerify is what this machine's processor takes to judge a transaction
// that comes alone: decoding it, its id, its signature. It takes some hundredths
// of a second, of real time.
func MeasureVerify() (time.Duration, error) {
	fail := func(err error) (time.Duration, error) {
		return 0, fmt.Errorf("measure what judging a transaction costs: %w", err)
	}
	g, err := genesisOf(&scenario.Scenario{Nodes: 2}, time.Now(), nil)
	if err != nil {
		return fail(err)
	}
	l, err := ledger.New(g, noBlocks{})
	if err != nil {
		return fail(err)
	}
	checker, err := validation.NewChecker(g, l)
	if err != nil {
		return fail(err)
	}
	m := &mint{g.ID(), rand.New(rand.NewPCG(1, 1))}
	txs := make([][]byte, costTxs)
	for i := range txs {
		txs[i] = m.load(costSize).Bytes()
	}
	var least time.Duration
	for range costRounds {
		began := time.Now()
		for _, tx := range txs {
			if _, err := checker.Sound(tx); err != nil {
				return fail(err)
			}
		}
		if took := time.Since(began); least == 0 || took < least {
			least = took
		}
	}
	return least / costTxs, nil
}
