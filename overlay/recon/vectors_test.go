package recon_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
)

// TestVectorsOfFrames reads testdata/frames.json, which was written by hand.
func TestVectorsOfFrames(t *testing.T) {
	b, err := os.ReadFile("testdata/frames.json")
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Name, Bytes string
			Error       bool
		}
	}
	require.NoError(t, json.Unmarshal(b, &file))
	frames := everyFrame()
	for _, v := range file.Vectors {
		b, err := hex.DecodeString(v.Bytes)
		require.NoError(t, err, v.Name)
		f, err := recon.Decode(b)
		if v.Error {
			require.Error(t, err, v.Name)
			continue
		}
		require.NoError(t, err, v.Name)
		require.Equal(t, frames[v.Name], f, v.Name)
		delete(frames, v.Name)
	}
	require.Empty(t, frames, "every kind has a vector")
}
