package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Without redundancy, what is announced and not sent is missing for long.
func TestWithholder(t *testing.T) {
	holds(t, shipped(t, "attack-withholder"))
	swallows(t, "attack-withholder")
}

// A withholder does announce: it costs more than silence.
func TestWithholderAnnounces(t *testing.T) {
	loud := simulate(t, shipped(t, "attack-withholder"), report.RelayGossip)
	silent := simulate(t, shipped(t, "attack-silent"), report.RelayGossip)
	require.Greater(t, *loud.Bytes.Wire, *silent.Bytes.Wire)
}
