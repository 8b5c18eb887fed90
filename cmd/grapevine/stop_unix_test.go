//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCtrlCOnAPipe: a command that waits for the other end of a named pipe,
// where nobody is, ends with the first signal.
func TestCtrlCOnAPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	tiny := filepath.Join(dir, "tiny.yaml")
	require.NoError(t, os.WriteFile(tiny, []byte("description: as little as can be\nworld: core\nnodes: 2\nnetwork: {dials: 1, latency: {range: [1ms, 2ms]}}\nsettle: 1s\ndrain: 0s\n"), 0o600))
	for name, args := range map[string][]string{
		"read":     {"compare", pipe, pipe},
		"scenario": {"run", pipe},
		"write":    {"run", tiny, "--json", pipe},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("grapevine", append([]string{"testnet"}, args...)...)
			var said bytes.Buffer
			cmd.Stderr = &said
			require.NoError(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				t.Fatalf("it did not wait for the pipe: %v\n%s", err, &said)
			case <-time.After(time.Second): // longer than the run
			}
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			select {
			case <-ended:
				require.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), "%s", &said)
				require.Contains(t, said.String(), "it waited for a file")
			case <-time.After(finishing + 10*time.Second):
				_ = cmd.Process.Kill()
				<-ended
				t.Fatal("it went on")
			}
		})
	}
}
