package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Stock pubsub spreads an old message once more, as if it were new.
func TestReplayer(t *testing.T) {
	holds(t, shipped(t, "attack-replayer"))
	stock := simulate(t, shipped(t, "attack-replayer"), report.RelayStock)
	calm := simulate(t, shipped(t, "attack-replayer", "attackers=[]"), report.RelayStock)
	require.Greater(t, *stock.Tx.CopiesPerDelivery, 1.5**calm.Tx.CopiesPerDelivery)
}
