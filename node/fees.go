package node

import (
	"context"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// feesFor is how long an answer about fees is good for while the head stays. Wallets ask before
// each transaction, and looking through a full pool takes milliseconds.
const feesFor = time.Second

// fees is the last answer about them.
type fees struct {
	mu   sync.Mutex // held while they are worked out, so that one does it for all; taken before the chain's
	last api.Fees
	at   time.Time
	head wire.BlockID
}

// Fees implements api.NodeReader.
func (b backend) Fees(context.Context) (api.Fees, error) {
	f, now, head := &b.fees, b.cfg.Now(), b.chain.Head().ID
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.at); head != f.head || age < 0 || age >= feesFor {
		f.last, f.at, f.head = b.chain.fees(), now, head
	}
	return f.last, nil
}

// fees works out what it costs to be in the next block, soon, or at all.
func (c *chain) fees() api.Fees {
	c.mu.RLock()
	bytes, enter := c.pool.Bytes(), c.pool.FeeRateToEnter()
	prices := c.pool.Prices()
	c.mu.RUnlock()
	floor := c.genesis.Limits.MinFeePerByte
	enter = max(floor, enter)
	ahead := func(share float64) int { return int(float64(bytes) * share) }
	rates := prices.Estimate(ahead(0.1), ahead(0.5), ahead(0.9))
	return api.Fees{
		Floor: perThousand(floor), Enter: perThousand(enter),
		Low: perThousand(max(rates[2], enter)), Medium: perThousand(max(rates[1], enter)), High: perThousand(max(rates[0], enter)),
	}
}

// perThousand turns a fee per byte into one per 1,000 bytes.
func perThousand(perByte uint64) api.Amount {
	const most = ^uint64(0) / 1000
	return api.Amount(min(perByte, most) * 1000)
}
