package node_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocumentedLogLinesExist: whoever searches the log for what docs/operations.md lists
// finds it.
func TestDocumentedLogLinesExist(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	_, lines, ok := strings.Cut(string(page), "## Log lines")
	require.True(t, ok)
	lines, _, _ = strings.Cut(lines, "\n## ")

	var source strings.Builder
	for _, glob := range []string{"*.go", "*/*.go", "../overlay/*.go", "../overlay/*/*.go", "../cmd/grapevine/*.go"} {
		paths, err := filepath.Glob(glob)
		require.NoError(t, err)
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			code, err := os.ReadFile(path)
			require.NoError(t, err)
			source.Write(code)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| (?:info|warn|error) \\| `([^`]+)`").FindAllStringSubmatch(lines, -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		want := `"` + row[1] + `"`
		if begins, cut := strings.CutSuffix(row[1], "…"); cut {
			want = `"` + begins
		}
		require.True(t, strings.Contains(source.String(), want), "no line of the log begins with %s", want)
	}
}
