package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFiguresGoOn: docs/figures/make.sh runs what follows a run that leaves no
// report, and names that at the end.
func TestFiguresGoOn(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("../../docs/figures/make.sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "make.sh"), script, 0o600))

	// It is called testnet list, testnet run NAME --relay RELAY --json J --trace T,
	// and testnet compare.
	const program = `#!/usr/bin/env bash
case $2 in
list)
	printf 'SCENARIO WORLD RELAY\n'
	printf '%s sim gossip\n' first dies refused last
	;;
run)
	echo "ran $3 $5"
	case $3-$5 in
	dies-*) exit 137 ;;
	refused-gossip | first-stock) exit 2 ;;
	last-stock) exit 1 ;;
	*) : >"$9" ;;
	esac
	;;
compare) echo "compared $3" >&2 ;;
esac
`
	for name, test := range map[string]struct {
		scenarios      []string
		status         int
		ran, complains string
	}{
		"all": {
			status: 1,
			ran: "== first, gossip\nran first gossip\n== first, stock\nran first stock\n" +
				"== dies, gossip\nran dies gossip\n== dies, stock\nran dies stock\n" +
				"== refused, gossip\nran refused gossip\n== refused, stock\nran refused stock\n" +
				"== last, gossip\nran last gossip\n== last, stock\nran last stock\n",
			complains: "dies, gossip: no report (exit status 137)\ndies, stock: no report (exit status 137)\n" +
				"refused, gossip: no report (exit status 2)\nlast, stock: no report (exit status 1)\n" +
				"without a report, so that figures of an earlier run stand: dies-gossip dies-stock refused-gossip last-stock\n",
		},
		"one that is well": {scenarios: []string{"first"}, ran: "== first, gossip\nran first gossip\n== first, stock\nran first stock\n"},
	} {
		t.Run(name, func(t *testing.T) {
			grapevine := filepath.Join(t.TempDir(), "grapevine")
			require.NoError(t, os.WriteFile(grapevine, []byte(program), 0o700))
			var out, complaints bytes.Buffer
			cmd := exec.CommandContext(t.Context(), bash, append([]string{filepath.Join(dir, "make.sh")}, test.scenarios...)...)
			cmd.Env = append(os.Environ(), "GRAPEVINE="+grapevine, "RELAYS=gossip stock")
			cmd.Stdout, cmd.Stderr = &out, &complaints
			err := cmd.Run()
			status := 0
			if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
				status = ended.ExitCode()
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, test.ran, out.String())
			require.Equal(t, test.complains, complaints.String())
			require.Equal(t, test.status, status)
		})
	}
}
