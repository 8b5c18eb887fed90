package attack_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// A part that cannot be played is refused with the reason.
func TestPlayRefuses(t *testing.T) {
	good := attack.Part{Seat: 2, Key: make([]byte, ed25519.SeedSize), Attack: scenario.Attacker{Kind: "silent"}}
	for want, spoil := range map[string]func(*attack.Part){
		"keys of 3 and 0 bytes":  func(p *attack.Part) { p.Key = p.Key[:3] },
		"keys of 32 and 1 bytes": func(p *attack.Part) { p.Producer = []byte{1} },
		`none is called "nice"`:  func(p *attack.Part) { p.Attack.Kind = "nice" },
		"genesis":                func(*attack.Part) {},
	} {
		p := good
		spoil(&p)
		text, err := json.Marshal(p)
		require.NoError(t, err)
		err = attack.Play(t.Context(), bytes.NewReader(text))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "seat 2")
	}
	require.ErrorContains(t, attack.Play(t.Context(), strings.NewReader("nonsense")), "read the part to play")
}
