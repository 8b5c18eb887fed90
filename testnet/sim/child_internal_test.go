package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// TestOrphanTidiesUp: the folder of a run whose parent was killed goes with the
// child, since nobody else is left to remove it.
func TestOrphanTidiesUp(t *testing.T) {
	s, err := scenario.Parse("x.yaml", []byte("description: Never ends.\nnodes: 2\nnetwork: {dials: 1, latency: {range: [1ms, 2ms]}}\n"))
	require.NoError(t, err)
	s.Relay = "spins"
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))

	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, json.NewEncoder(in).Encode(job{Scenario: s, Home: home, Patience: time.Hour}))
	var first frame
	require.NoError(t, json.NewDecoder(out).Decode(&first))
	require.NotNil(t, first.Progress)
	require.DirExists(t, home)

	require.NoError(t, out.Close()) // both ends at once, as of a parent that was killed
	require.NoError(t, in.Close())
	var ended *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &ended)
	require.Equal(t, exitOrphaned, ended.ExitCode())
	require.NoDirExists(t, home)
}
