package api

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Scope says what a caller may do. A higher one may do all that a lower one may.
type Scope uint8

// The scopes, lowest first.
const (
	None   Scope = iota
	Read         // everything that changes nothing
	Submit       // and send transactions
	Admin        // and change the node
)

// scopes are those that have a token, in the order of the file.
var scopes = []Scope{Read, Submit, Admin}

// String is the name of the scope in the token file.
func (s Scope) String() string {
	switch s {
	case Read:
		return "read"
	case Submit:
		return "submit"
	case Admin:
		return "admin"
	case None:
	}
	return "none"
}

const (
	tokenPrefix = "gv1_"
	tokenBytes  = 32
	tokenLen    = len(tokenPrefix) + (tokenBytes*8+5)/6 // base64url without padding

	maxTokenFile = 1 << 10
)

// Tokens are the secrets of one node, one per scope. Printing them shows none.
type Tokens struct {
	secrets [Admin + 1]string
}

// String hides the secrets.
func (Tokens) String() string { return "api.Tokens{hidden}" }

// GoString hides the secrets.
func (t Tokens) GoString() string { return t.String() }

// For is the token of scope s, empty for None.
func (t Tokens) For(s Scope) string {
	if s > Admin {
		return ""
	}
	return t.secrets[s]
}

// newTokens draws fresh ones.
func newTokens() Tokens {
	var t Tokens
	for _, s := range scopes {
		var b [tokenBytes]byte
		_, _ = rand.Read(b[:]) // never fails
		t.secrets[s] = tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	}
	return t
}

// text is the content of the token file.
func (t Tokens) text() []byte {
	var b bytes.Buffer
	for _, s := range scopes {
		fmt.Fprintf(&b, "%s %s\n", s, t.secrets[s])
	}
	return b.Bytes()
}

// parseTokens reads the content of a token file. Its errors name the line and
// never show a secret.
func parseTokens(b []byte) (Tokens, error) {
	var t Tokens
	if len(b) > maxTokenFile {
		return t, fmt.Errorf("%d bytes, want at most %d", len(b), maxTokenFile)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for _, s := range scopes {
		if !lines.Scan() {
			return Tokens{}, fmt.Errorf("the line of scope %q is missing", s)
		}
		name, secret, _ := strings.Cut(lines.Text(), " ")
		if name != s.String() {
			return Tokens{}, fmt.Errorf("line %d does not begin with %q", s, s.String()+" ")
		}
		raw, ok := strings.CutPrefix(secret, tokenPrefix)
		key, err := base64.RawURLEncoding.Strict().DecodeString(raw)
		if !ok || err != nil || len(key) != tokenBytes {
			return Tokens{}, fmt.Errorf("line %d (%s) has no token %s followed by %d base64url characters", s, s, tokenPrefix, tokenLen-len(tokenPrefix))
		}
		for _, lower := range scopes[:s-1] {
			if t.secrets[lower] == secret {
				return Tokens{}, fmt.Errorf("lines %d and %d have the same token", lower, s)
			}
		}
		t.secrets[s] = secret
	}
	if lines.Scan() {
		return Tokens{}, fmt.Errorf("more than %d lines", len(scopes))
	}
	return t, nil
}

// LoadTokens reads the token file at path. It refuses a file that others may
// read or that is not a plain file of this user.
func LoadTokens(path string) (Tokens, error) {
	const remedy = "delete it and restart the node to get new tokens"
	link, err := os.Lstat(path)
	if err != nil {
		return Tokens{}, fmt.Errorf("api: read tokens: %w", err)
	}
	if !link.Mode().IsRegular() {
		return Tokens{}, fmt.Errorf("api: token file %s is not a plain file (%v); %s", path, link.Mode().Type(), remedy)
	}
	f, err := os.Open(path)
	if err != nil {
		return Tokens{}, fmt.Errorf("api: read tokens: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Tokens{}, fmt.Errorf("api: read tokens: %w", err)
	}
	if !os.SameFile(link, info) { // swapped between the two looks
		return Tokens{}, fmt.Errorf("api: token file %s changed while it was opened; start again", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Tokens{}, fmt.Errorf("api: token file %s has mode %04o, others may read it; %s, or run chmod 600 if nobody did", path, mode, remedy)
	}
	if !ownedByUs(info) {
		return Tokens{}, fmt.Errorf("api: token file %s belongs to another user; run the node as its owner, or %s", path, remedy)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return Tokens{}, fmt.Errorf("api: read tokens: %w", err)
	}
	t, err := parseTokens(b)
	if err != nil {
		return Tokens{}, fmt.Errorf("api: token file %s is damaged: %w; %s", path, err, remedy)
	}
	return t, nil
}

// ensureTokens loads the token file, or makes it whole or not at all.
func ensureTokens(path string) (Tokens, error) {
	t, err := LoadTokens(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	t = newTokens()
	if err := writeNew(path, t.text()); err != nil {
		return Tokens{}, fmt.Errorf("api: write token file %s: %w; check the directory's permissions and free space", path, err)
	}
	return t, nil
}

// writeNew puts a file that did not exist at path, durably, mode 0600.
func writeNew(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // O_EXCL, 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already after the rename
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keyring knows tokens by their hashes.
type keyring struct {
	hashes [Admin + 1][sha256.Size]byte
}

func newKeyring(t Tokens) *keyring {
	k := &keyring{}
	for _, s := range scopes {
		k.hashes[s] = sha256.Sum256([]byte(t.secrets[s]))
	}
	return k
}

// scopeOf says what the bearer of token may do. It takes the same time for
// every token of the right length.
func (k *keyring) scopeOf(token string) Scope {
	if len(token) != tokenLen {
		return None
	}
	sum := sha256.Sum256([]byte(token))
	found := None
	for _, s := range scopes {
		if subtle.ConstantTimeCompare(sum[:], k.hashes[s][:]) == 1 {
			found = s
		}
	}
	return found
}
