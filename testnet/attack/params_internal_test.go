package attack

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

func TestParams(t *testing.T) {
	for said, want := range map[*scenario.Attacker]string{
		{Kind: "spammer"}: "",
		{Kind: "spammer", Params: map[string]string{"per_second": "7"}}:     "",
		{Kind: "spammer", Params: map[string]string{"per_second": "0"}}:     `attacker spammer: params.per_second is "0", want 1 to 100000`,
		{Kind: "spammer", Params: map[string]string{"per_second": "x"}}:     `params.per_second is "x"`,
		{Kind: "silent", Params: map[string]string{"per_second": "7"}}:      "params.per_second is unknown",
		{Kind: "silent", Params: map[string]string{"\x1b[2J": "7"}}:         `params.\x1b[2J is unknown`,
		{Kind: "control-flood", Params: map[string]string{"message": "hi"}}: `params.message is "hi", want one of ihave, iwant`,
		{Kind: "nice"}: `none is called "nice"`,
	} {
		err := Check(said)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

// TestKindsAreKnown: what this package plays, a scenario can name.
func TestKindsAreKnown(t *testing.T) {
	relays := Relays()
	require.Len(t, relays, len(Kinds()))
	for _, kind := range Kinds() {
		require.True(t, slices.Contains(scenario.Kinds(), kind), kind)
		require.Contains(t, relays, sim.AttackRelay(kind))
	}
}

// TestFloodsAreMade: every sort of flood that a scenario can name exists.
func TestFloodsAreMade(t *testing.T) {
	for _, message := range floods {
		r, err := ruleOf(&scenario.Attacker{Kind: "control-flood", Params: map[string]string{"message": message}})
		require.NoError(t, err)
		require.NotNil(t, r.(*flood).make, message)
	}
}
