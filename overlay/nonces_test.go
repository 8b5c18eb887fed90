package overlay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R13: an honest node that was cut off sends old nonces in bulk while it learns of the
// blocks that used them. See docs/decisions/0013-old-nonces.md.
func TestOldNoncesAfterAPartitionAreFree(t *testing.T) {
	g, c := testGenesis("old nonces"), newClock()
	behind, ahead := start(t, g, c), start(t, g, c)
	behind.join(ahead)
	meshed(t, behind, ahead)
	old := 3 * overlay.DefaultLimits().AvoidablePerMinute
	ahead.grow(old, "wallet 0", 0) // it tells nobody
	var unheard []*wire.Transaction
	for nonce := range uint64(old) {
		unheard = append(unheard, transfer(g, "wallet 0", nonce, func(b *wire.TxBody) { b.Fee++ }))
	}
	behind.submit(unheard...)
	eventually(t, func() bool { return ahead.seen.count(validation.Ignore) >= old }, "all are heard of: %s", ahead.tally())
	require.Zero(t, ahead.seen.blamed())
	require.True(t, ahead.knows(behind.host.ID()))
	ahead.seen.mu.Lock()
	defer ahead.seen.mu.Unlock()
	for _, err := range ahead.seen.arrived[validation.Ignore] {
		require.ErrorIs(t, err, validation.StaleNonce)
	}
}
