package rules

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	rule    = regexp.MustCompile(`(?m)^- \*\*(R\d+)\*\* `)
	mention = regexp.MustCompile(`(?m)^\s*// (R\d+(?:, R\d+)*): `)
	one     = regexp.MustCompile(`R\d+`)
)

const root = "../.."

// eachTestFile calls f with every file of tests in the repository.
func eachTestFile(t *testing.T, f func(path, src string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f(path, string(src))
		return nil
	}))
}

// TestEveryRuleHasATest fails for a rule that no test claims to prove, and for
// a test that claims to prove a rule that does not exist.
func TestEveryRuleHasATest(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "protocol.md"))
	require.NoError(t, err)
	rules := map[string][]string{}
	for _, m := range rule.FindAllStringSubmatch(string(doc), -1) {
		require.NotContains(t, rules, m[1], "a rule has one number")
		rules[m[1]] = nil
	}
	require.NotEmpty(t, rules)

	eachTestFile(t, func(path, src string) {
		for _, m := range mention.FindAllStringSubmatch(src, -1) {
			for _, r := range one.FindAllString(m[1], -1) {
				require.Contains(t, rules, r, "%s names a rule that docs/protocol.md does not have", path)
				rules[r] = append(rules[r], path)
			}
		}
	})
	for r, tests := range rules {
		require.NotEmpty(t, tests, "no test names %s of docs/protocol.md", r)
	}
}
