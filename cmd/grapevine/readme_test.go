package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// step is one command of the session that the README opens with, and what it
// is said to print.
type step struct {
	command string
	prints  []string
}

// readSession takes the first console block of a document apart.
func readSession(t *testing.T, path string) []step {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```console\n")
	require.True(t, found, "%s has no console block", path)
	session, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	var steps []step
	for line := range strings.Lines(session) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: command})
			continue
		}
		require.NotEmpty(t, steps, "output before any command: %s", line)
		last := &steps[len(steps)-1]
		last.prints = append(last.prints, line)
	}
	return steps
}

// pattern is what a step prints, as an expression: "…" stands for anything
// within a line, and for any number of lines where it stands alone.
func (s step) pattern() *regexp.Regexp {
	var p strings.Builder
	p.WriteString("^")
	for _, line := range s.prints {
		if line == "…" {
			p.WriteString("(?:.*\n)*")
			continue
		}
		p.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, " ")), "…", ".*") + " *\n")
	}
	p.WriteString("$")
	return regexp.MustCompile(p.String())
}

// TestReadmeSession types the session that the README opens with into a shell,
// in an empty folder with nothing but the binary.
func TestReadmeSession(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a daemon")
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	steps := readSession(t, "../../README.md")
	require.GreaterOrEqual(t, len(steps), 4)

	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	require.NoError(t, os.Mkdir(home, 0o755))
	binary, err := exec.LookPath("grapevine")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(binary, filepath.Join(dir, "grapevine")))

	// The usual ports may be taken on this machine.
	ip, port := loopback(t, 1)
	actual := strings.NewReplacer("/home/you", home, "127.0.0.1:7411", fmt.Sprintf("%s:%d", ip, port))
	var said logFile
	cmd := exec.Command(shell)
	cmd.Dir = dir
	cmd.Env = append(
		os.Environ(), "HOME="+home,
		"GRAPEVINE_LISTEN=/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1", fmt.Sprintf("GRAPEVINE_API_LISTEN=%s:%d", ip, port),
	)
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	from := 0
	for i, s := range steps {
		for j := range s.prints {
			s.prints[j] = actual.Replace(s.prints[j])
		}
		from = typeStep(t, in, &said, from, s, fmt.Sprintf("end of step %d", i))
	}
	_, err = fmt.Fprintln(in, "wait %1") // the daemon, which the session has ended
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait(), "the daemon did not stop cleanly:\n%s", &said)
}

// typeStep gives the shell one command and waits for what it should print.
// It returns where the output of the next one begins.
func typeStep(t *testing.T, in io.Writer, said *logFile, from int, s step, marker string) int {
	t.Helper()
	command := s.command
	background := strings.HasSuffix(command, "&")
	if !background {
		command += "\necho; echo " + marker
	}
	_, err := fmt.Fprintln(in, command)
	require.NoError(t, err)
	pattern := s.pattern()
	var out string
	deadline := time.Now().Add(settleTime)
	for {
		out = said.String()[from:]
		before, _, ended := strings.Cut(out, "\n"+marker+"\n")
		if background && pattern.MatchString(out) {
			return from + len(out)
		}
		if ended {
			require.Regexp(t, pattern, before, "$ %s", s.command)
			return from + len(before) + len("\n"+marker+"\n")
		}
		require.True(t, time.Now().Before(deadline), "$ %s printed\n%s\nwant\n%s", s.command, out, strings.Join(s.prints, "\n"))
		time.Sleep(pollPause) //nolint:forbidigo // another process is polled
	}
}

func TestSessionPattern(t *testing.T) {
	s := step{prints: []string{"a  … c", "…", "z (1)"}}
	require.Regexp(t, s.pattern(), "a  b c\nz (1)\n")
	require.Regexp(t, s.pattern(), "a   c\n1\n2\nz (1)\n")
	require.NotRegexp(t, s.pattern(), "a b c\nz (1)\n")
	require.NotRegexp(t, s.pattern(), "a  b c\nz 1\n")
	require.NotRegexp(t, s.pattern(), "a  b c\nz (1)\nmore\n")
	require.Regexp(t, step{}.pattern(), "")
	require.NotRegexp(t, step{}.pattern(), "x\n")
}
