// Package script runs behaviour written down as commands and what they print, so that a reader can check it without reading code.
//
// A script has steps: one or more command lines, a line "----", and the
// expected output up to an empty line. Lines that begin with # are comments.
//
//	record mallory bad_frame
//	score mallory
//	----
//	-40
//
// Run with -rewrite to replace the expected output by the actual one; commit
// the difference only if you understand it.
package script

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
)

var rewrite = flag.Bool("rewrite", false, "replace the expected output of scripts by the actual one")

// T is what a script needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run runs the scripts that match the pattern (path/filepath.Match), each
// against a fresh command function. A command function is given the words of
// one line and returns what the command prints.
func Run(t T, pattern string, fresh func() func(words []string) string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("script: %q matches no file (%v)", pattern, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("script: %v", err)
		}
		got := Play(string(text), fresh())
		switch {
		case got == string(text):
		case *rewrite:
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatalf("script: rewrite: %v", err)
			}
		default:
			t.Errorf("script: %s no longer does what it says; it does (try -rewrite):\n%s", path, got)
		}
	}
}

// Play returns the script with the actual output in place of the expected.
func Play(text string, command func(words []string) string) string {
	var out, printed strings.Builder
	expected := false // inside the expected output, which is replaced
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case expected && bare != "":
			continue
		case bare == "----":
			out.WriteString("----\n" + printed.String())
			printed.Reset()
			expected = true
			continue
		case bare == "":
			expected = false
		case !strings.HasPrefix(bare, "#"):
			if answer := strings.TrimRight(command(strings.Fields(bare)), "\n"); answer != "" {
				printed.WriteString(answer + "\n")
			}
		}
		out.WriteString(line)
	}
	return out.String()
}
