package api

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestTokensOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.token")
	first, err := ensureTokens(path)
	require.NoError(t, err)
	again, err := ensureTokens(path)
	require.NoError(t, err)
	require.Equal(t, first, again)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	lines := strings.Split(readFile(t, path), "\n")
	require.Len(t, lines, 4)
	require.Regexp(t, `^read gv1_[\w-]{43}$`, lines[0])
	require.Regexp(t, `^submit gv1_[\w-]{43}$`, lines[1])
	require.Regexp(t, `^admin gv1_[\w-]{43}$`, lines[2])
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing half-written may stay")
}

// A14: what others may read or have put there is refused, and said.
func TestTokenFileIsOursAlone(t *testing.T) {
	dir := t.TempDir()
	sound := filepath.Join(dir, "sound")
	_, err := ensureTokens(sound)
	require.NoError(t, err)

	wide := filepath.Join(dir, "wide")
	require.NoError(t, os.WriteFile(wide, newTokens().text(), 0o600))
	require.NoError(t, os.Chmod(wide, 0o640))
	_, err = ensureTokens(wide)
	require.ErrorContains(t, err, wide)
	require.ErrorContains(t, err, "0640")

	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(sound, link))
	_, err = ensureTokens(link)
	require.ErrorContains(t, err, "not a plain file")

	_, err = ensureTokens(filepath.Join(dir, "missing", "api.token"))
	require.ErrorContains(t, err, filepath.Join(dir, "missing"))
}

func TestDamagedTokenFiles(t *testing.T) {
	good := string(newTokens().text())
	lines := strings.SplitAfter(good, "\n")
	for name, text := range map[string]string{
		"empty":          "",
		"truncated":      good[:len(good)-10],
		"one missing":    lines[0] + lines[1],
		"wrong order":    lines[1] + lines[0] + lines[2],
		"extra line":     good + lines[0],
		"no prefix":      strings.Replace(good, "gv1_", "gv2_", 1),
		"short secret":   strings.Replace(good, lines[0], lines[0][:20]+"\n", 1),
		"same twice":     lines[0] + strings.Replace(lines[0], "read", "submit", 1) + lines[2],
		"windows":        strings.ReplaceAll(good, " ", "\t"),
		"trailing space": strings.Replace(good, "\n", " \n", 1),
		"huge":           good + strings.Repeat("\n", maxTokenFile),
		"other base64":   strings.Replace(good, lines[0], lines[0][:len(lines[0])-2]+"+\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "api.token")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := ensureTokens(path)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "delete it")
			for _, l := range lines[:3] {
				_, secret, _ := strings.Cut(strings.TrimSpace(l), " ")
				require.NotContains(t, err.Error(), secret[8:20], "A16: no secrets in errors")
			}
			require.Equal(t, text, readFile(t, path), "a damaged file is not overwritten")
		})
	}
}

// A1, A13: a token proves its own scope and nothing else.
func TestKeyring(t *testing.T) {
	tokens := newTokens()
	ring := newKeyring(tokens)
	for _, s := range scopes {
		require.Equal(t, s, ring.scopeOf(tokens.For(s)))
		require.Equal(t, None, ring.scopeOf(tokens.For(s)[:tokenLen-1]))
		require.Equal(t, None, ring.scopeOf(tokens.For(s)+"A"))
		flipped := []byte(tokens.For(s))
		flipped[10] ^= 1
		require.Equal(t, None, ring.scopeOf(string(flipped)))
	}
	require.Equal(t, None, ring.scopeOf(""))
	require.Equal(t, None, ring.scopeOf(strings.Repeat("a", 1<<20)))
	require.Empty(t, tokens.For(None))
	require.Empty(t, tokens.For(Admin+1))
}

// A16: printing tokens shows none.
func TestTokensDoNotPrint(t *testing.T) {
	tokens := newTokens()
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, tokens), tokenPrefix)
		require.NotContains(t, fmt.Sprintf(format, &tokens), tokenPrefix)
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add(newTokens().text())
	f.Add([]byte("read gv1_\nsubmit gv1_\nadmin gv1_\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		tokens, err := parseTokens(b)
		if err != nil {
			if tokens != (Tokens{}) {
				t.Fatal("tokens in spite of an error")
			}
			return
		}
		again, err := parseTokens(tokens.text())
		if err != nil || again != tokens {
			t.Fatalf("what was read does not survive writing: %v", err)
		}
	})
}
