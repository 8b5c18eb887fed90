package node

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Empty blocks, of which a quiet network has many, do not pass for rebuilt.
func TestEmptyBlocksAreCountedApart(t *testing.T) {
	e := &events{metrics: newMeters(), journeys: newJourneys()}
	h := e.hooks()
	for range 3 {
		h.BlockRebuilt(wire.BlockID{1}, overlay.Rebuilt{Sender: "s"})
	}
	h.BlockRebuilt(wire.BlockID{2}, overlay.Rebuilt{Sender: "s", FromPool: 1})
	w := httptest.NewRecorder()
	e.metrics.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Contains(t, w.Body.String(), `grapevine_blocks_rebuilt_total{how="empty"} 3`)
	require.Contains(t, w.Body.String(), `grapevine_blocks_rebuilt_total{how="at_once"} 1`)
}
