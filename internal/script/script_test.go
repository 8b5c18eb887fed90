package script_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/script"
)

func echo(words []string) string { return strings.Join(words, " ") }

func TestPlay(t *testing.T) {
	const text = "# a comment\nsay one\nsay two\n----\nsay one\nsay two\n\nsay three\n----\nsay three\n"
	require.Equal(t, text, script.Play(text, echo))
	mute := func([]string) string { return "" }
	require.Equal(t, "# a comment\nsay one\nsay two\n----\n\nsay three\n----\n", script.Play(text, mute))
}

// recorder stands in for a *testing.T.
type recorder struct{ failures []string }

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...) }

func TestRunFailsWhereTheScriptIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wrong.txt")
	require.NoError(t, os.WriteFile(path, []byte("say one\n----\nsay two\n"), 0o600))
	var r recorder
	script.Run(&r, path, func() func([]string) string { return echo })
	require.Len(t, r.failures, 1)
	require.Contains(t, r.failures[0], "wrong.txt")
}

func Example() {
	fmt.Print(script.Play("say hello\n----\n", echo))
	// Output:
	// say hello
	// ----
	// say hello
}
