package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Problem says why a key file cannot be used or made.
type Problem string

// The problems.
const (
	NotKeyFile      Problem = "not a Grapevine key file"
	Damaged         Problem = "the key file is damaged or cut short"
	TooOpen         Problem = "others may read the key file"
	Exists          Problem = "a file of that name exists already"
	WrongPassphrase Problem = "wrong passphrase"
	NeedsPassphrase Problem = "the key is encrypted and no passphrase was given"
)

// Error returns the problem in words.
func (p Problem) Error() string { return "keyfile: " + string(p) }

const (
	firstLine   = "# grapevine key 1"
	publicStart = "# public: "
	pemType     = "GRAPEVINE KEY"
	maxFile     = 8 << 10 // of a file: many times what either form takes

	// scryptWork is age's own choice for its command line: about a second.
	scryptWork = 18
)

// Address returns the account that key signs for.
func Address(key ed25519.PrivateKey) wire.Address {
	return wire.Address(key.Public().(ed25519.PublicKey))
}

// Load reads the key in the file at path. passphrase is called only when the
// file is encrypted; it may be nil where that is not expected. Symbolic links
// are followed, as secret mounts are made of them; the mode that counts is the
// file's own.
func Load(path string, passphrase func() (string, error)) (ed25519.PrivateKey, error) {
	public, secret, err := read(path)
	if err != nil {
		return nil, err
	}
	if isAge(secret) {
		if passphrase == nil {
			return nil, fmt.Errorf("%s: %w; give it, or name a file that holds it (for a producer: producer.passphrase_file in config.toml)", path, NeedsPassphrase)
		}
		words, err := passphrase()
		if err != nil {
			return nil, fmt.Errorf("keyfile: passphrase for %s: %w", path, err)
		}
		if secret, err = decrypt(secret, words); err != nil {
			return nil, explain(path, err)
		}
	}
	block, rest := pem.Decode(secret)
	if block == nil || block.Type != pemType || len(block.Bytes) != ed25519.SeedSize || len(bytes.TrimSpace(rest)) > 0 {
		return nil, explain(path, Damaged)
	}
	key := ed25519.NewKeyFromSeed(block.Bytes)
	if Address(key) != public {
		return nil, explain(path, Damaged)
	}
	return key, nil
}

// explain adds to a problem of the file at path what to do about it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, WrongPassphrase):
		return fmt.Errorf("%s: %w; try again, the file is unchanged", path, err)
	case errors.Is(err, NotKeyFile):
		return fmt.Errorf("%s: %w; it does not start with %q: give the path of another file", path, err, firstLine)
	case errors.Is(err, Damaged):
		return fmt.Errorf("%s: %w; restore it from a backup", path, err)
	}
	return fmt.Errorf("keyfile: open %s: %w", path, err)
}

// read returns the public key that the file names and the bytes of the secret.
func read(path string) (wire.Address, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return wire.Address{}, nil, fmt.Errorf("keyfile: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return wire.Address{}, nil, fmt.Errorf("keyfile: %w", err)
	}
	if !info.Mode().IsRegular() {
		return wire.Address{}, nil, explain(path, NotKeyFile)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return wire.Address{}, nil, fmt.Errorf("%s: %w (mode %04o); run: chmod 600 %s", path, TooOpen, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return wire.Address{}, nil, fmt.Errorf("keyfile: read %s: %w", path, err)
	}
	public, secret, err := split(text)
	if err != nil {
		return wire.Address{}, nil, explain(path, err)
	}
	return public, secret, nil
}

// split takes the comment off a key file.
func split(text []byte) (public wire.Address, secret []byte, err error) {
	first, rest, _ := strings.Cut(string(text), "\n")
	if len(text) > maxFile || first != firstLine {
		if len(text) < len(firstLine) && strings.HasPrefix(firstLine, string(text)) {
			return public, nil, Damaged // nothing, or the beginning of one
		}
		return public, nil, NotKeyFile
	}
	second, rest, _ := strings.Cut(rest, "\n")
	raw, err := hex.DecodeString(strings.TrimPrefix(second, publicStart))
	if err != nil || len(raw) != len(public) || !strings.HasPrefix(second, publicStart) {
		return public, nil, Damaged
	}
	return wire.Address(raw), []byte(rest), nil
}

func isAge(secret []byte) bool { return bytes.HasPrefix(secret, []byte(armor.Header)) }

func decrypt(secret []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, WrongPassphrase
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(secret)), identity)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return nil, WrongPassphrase
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", Damaged, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", Damaged, err)
	}
	return plain, nil
}

// Entry is a key file of a folder, as seen without its passphrase.
type Entry struct {
	Name      string // the file's name without its extension
	Path      string
	Address   wire.Address
	Encrypted bool
	Err       error // why the file cannot be used; the fields above but Path may then be zero
}

// Extension is that of key files in a folder of keys.
const Extension = ".key"

// List returns the key files of dir by name; a dir that is absent has none.
func List(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("keyfile: list %s: %w", dir, err)
	}
	var list []Entry
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), Extension)
		if !ok || f.IsDir() {
			continue
		}
		e := Entry{Name: name, Path: filepath.Join(dir, f.Name())}
		public, secret, err := read(e.Path)
		e.Address, e.Encrypted, e.Err = public, isAge(secret), err
		list = append(list, e)
	}
	return list, nil
}
