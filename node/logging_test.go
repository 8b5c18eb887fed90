package node_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
)

func TestSetupLoggingRefusesWhatItDoesNotKnow(t *testing.T) {
	_, err := node.SetupLogging("loud", "text", os.Stderr)
	require.ErrorContains(t, err, "loud")
	_, err = node.SetupLogging("info", "xml", os.Stderr)
	require.ErrorContains(t, err, "xml")
}
