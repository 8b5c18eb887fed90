package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	named    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	scene    = regexp.MustCompile("`((?:attack|stalled)-[\\w-]+)`")
	itemised = regexp.MustCompile(`^Test[TPDS]\d+[A-Z]`)
	items    = map[string]int{"T": 15, "P": 28, "D": 12, "S": 16} // the last of each group
)

// TestThreatsNameTheirTests fails where docs/threats.md names a test or scenario that does
// not exist, leaves out an item, or a test that is named after one, or has an item of T, P or D
// after which no test is named.
func TestThreatsNameTheirTests(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "docs", "threats.md"))
	require.NoError(t, err)
	doc := string(raw)
	tests := map[string]string{}
	eachTestFile(t, func(path, src string) {
		for _, m := range declared.FindAllStringSubmatch(src, -1) {
			tests[m[1]] = path
		}
	})
	for _, m := range named.FindAllStringSubmatch(doc, -1) {
		require.Contains(t, tests, m[1], "docs/threats.md names a test that does not exist")
	}
	for name, path := range tests {
		if itemised.MatchString(name) {
			require.Contains(t, doc, "`"+name+"`", "docs/threats.md leaves out a test of %s", path)
		}
	}
	for _, m := range scene.FindAllStringSubmatch(doc, -1) {
		require.FileExists(t, filepath.Join(root, "testnet", "scenarios", m[1]+".yaml"))
	}
	for group, last := range items {
		for i := range last {
			item := fmt.Sprintf("%s%d", group, i+1)
			_, row, listed := strings.Cut(doc, "\n| "+item+" | ")
			require.True(t, listed, "docs/threats.md leaves out %s", item)
			row, _, _ = strings.Cut(row, "\n")
			if group != "S" { // of those, the cases of tables are named so
				require.Regexp(t, "`Test"+item+"[A-Z]", row, "no test is named after %s", item)
			}
		}
	}
}
