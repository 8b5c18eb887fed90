package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestLiarBoasts: every liar claims a chain that nobody has, and answers for it.
func TestLiarBoasts(t *testing.T) {
	for _, lie := range []string{"silence", "rubbish", "less"} {
		r, err := ruleOf(&scenario.Attacker{Kind: "lying-sync", Params: map[string]string{"lie": lie}})
		require.NoError(t, err)
		h := new(wire.Hello)
		r.(boaster).boast(h, 0)
		require.EqualValues(t, claimed, h.Height)
		r.(boaster).boast(h, 7)
		require.EqualValues(t, 8, h.Height)
		require.NotZero(t, h.Head)
		require.Implements(t, (*server)(nil), r)
		require.Equal(t, lie, r.(*liar).lie)
	}
}
