package keyfile

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// quickWork keeps the tests short; the work factor travels in the file.
const quickWork = 4

func testKey(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

func says(words string) func() (string, error) {
	return func() (string, error) { return words, nil }
}

func TestWhatIsCreatedIsLoaded(t *testing.T) {
	for name, passphrase := range map[string]string{"plain": "", "encrypted": "open sesame"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.key")
			require.NoError(t, create(path, testKey(1), passphrase, quickWork))
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())

			key, err := Load(path, says(passphrase))
			require.NoError(t, err)
			require.Equal(t, testKey(1), key)

			list, err := List(filepath.Dir(path))
			require.NoError(t, err)
			require.Equal(t, []Entry{{Name: "a", Path: path, Address: Address(key), Encrypted: passphrase != ""}}, list)
		})
	}
}

func TestAKeyIsNeverWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	var made atomic.Int32
	var wg sync.WaitGroup
	for n := range byte(8) {
		wg.Go(func() {
			if err := Create(path, testKey(n), ""); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.ErrorIs(t, Create(path, testKey(9), ""), Exists)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, err = Load(path, nil)
	require.NoError(t, err)
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "no temporary files stay")
}

func TestWrongPassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	require.NoError(t, create(path, testKey(1), "right", quickWork))
	_, err := Load(path, says("wrong"))
	require.ErrorIs(t, err, WrongPassphrase)
	_, err = Load(path, says(""))
	require.ErrorIs(t, err, WrongPassphrase)
	_, err = Load(path, nil)
	require.ErrorIs(t, err, NeedsPassphrase)
	_, err = Load(path, func() (string, error) { return "", os.ErrClosed })
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestOpenModesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	require.NoError(t, Create(path, testKey(1), ""))
	for _, mode := range []os.FileMode{0o644, 0o640, 0o601, 0o620} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := Load(path, nil)
		require.ErrorIs(t, err, TooOpen)
		require.ErrorContains(t, err, "chmod 600 "+path)
	}
	require.NoError(t, os.Chmod(path, 0o400))
	link := filepath.Join(t.TempDir(), "b.key")
	require.NoError(t, os.Symlink(path, link))
	_, err := Load(link, nil)
	require.NoError(t, err, "secret mounts are symbolic links")
}

func TestWhatIsNoKeyFileIsRefused(t *testing.T) {
	whole := func(passphrase string) string {
		text, err := encode(testKey(1), passphrase, quickWork)
		require.NoError(t, err)
		return string(text)
	}
	plain, sealed := whole(""), whole("p")
	other, err := encode(testKey(2), "", 0)
	require.NoError(t, err)
	swapped := strings.Join([]string{strings.Join(strings.SplitAfter(plain, "\n")[:2], ""), strings.Join(strings.SplitAfter(string(other), "\n")[2:], "")}, "")
	tests := []struct {
		name, text string
		want       Problem
	}{
		{"empty", "", Damaged},
		{"text", "hello\n", NotKeyFile},
		{"ssh key", "-----BEGIN OPENSSH PRIVATE KEY-----\n", NotKeyFile},
		{"huge", plain + strings.Repeat(" ", maxFile), NotKeyFile},
		{"no public line", firstLine + "\n" + strings.SplitAfterN(plain, "\n", 3)[2], Damaged},
		{"another's secret", swapped, Damaged},
		{"two secrets", plain + strings.SplitAfterN(plain, "\n", 3)[2], Damaged},
		{"sealed, cut in half", sealed[:len(sealed)*2/3], Damaged},
		{"sealed, a byte changed", sealed[:len(sealed)-60] + "Zz" + sealed[len(sealed)-58:], Damaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.key")
			require.NoError(t, os.WriteFile(path, []byte(tt.text), 0o600))
			_, err := Load(path, says("p"))
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, path)
		})
	}
	for cut := range len(plain) - 1 {
		path := filepath.Join(t.TempDir(), "a.key")
		require.NoError(t, os.WriteFile(path, []byte(plain[:cut]), 0o600))
		_, err := Load(path, nil)
		require.Error(t, err, "cut at %d", cut)
	}
	_, err = Load(t.TempDir(), nil)
	require.ErrorIs(t, err, NotKeyFile)
	_, err = Load(filepath.Join(t.TempDir(), "absent"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzSplit(f *testing.F) {
	text, err := encode(testKey(1), "", 0)
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a.key")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		if key, err := Load(path, nil); err == nil {
			public, _, _ := split(b)
			require.Equal(t, public, Address(key))
		}
	})
}
