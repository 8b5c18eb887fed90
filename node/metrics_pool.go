package node

import "math"

// feeFloor is the fee per 1,000 bytes below which nothing enters the pool, as
// far as it had sunk a second ago.
func (c *chain) feeFloor() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return int(math.Ceil(1_000 * c.pool.Stats().FeeFloor))
}
