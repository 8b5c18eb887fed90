package attack_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
)

// The table of docs/scenarios.md says what Describe says.
func TestAttackersAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenarios.md")
	require.NoError(t, err)
	for _, k := range attack.Describe() {
		var params []string
		for _, p := range k.Params {
			params = append(params, fmt.Sprintf("`%s`: %s (%s)", p.Name, p.Means, p.Takes))
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", k.Name, k.Breaks, strings.Join(params, "; "))
		require.Contains(t, string(text), strings.Replace(row, "|  |", "| |", 1))
	}
}
