package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// keysDir is the folder of a home that holds the wallet's keys.
const keysDir = "keys"

// keyName is what a key may be called: it becomes the name of a file.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// keyReport describes a key without its secret.
type keyReport struct {
	Name      string `json:"name"`
	Address   string `json:"address,omitempty"`
	PublicKey string `json:"public_key,omitempty"` // hex
	File      string `json:"file"`
	Encrypted bool   `json:"encrypted"`
	Problem   string `json:"problem,omitempty"` // why the file cannot be used
}

func (c *cli) keyCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "key",
		Short: "Keep the keys that sign transactions and blocks",
		Long: `Keep the keys that sign transactions and blocks. They are files in keys/ of the
home, encrypted with a passphrase unless --plain is given. Where no person is at
a terminal, $` + passphraseFileVar + ` names a file whose first line is the passphrase.`,
	}
	group.AddCommand(c.keyNewCommand(), c.keyListCommand(), c.keyShowCommand(), c.keyImportCommand())
	return group
}

// keyPlace says where a new key goes and how its address is shown.
type keyPlace struct {
	plain  bool
	out    string
	prefix string
}

func (p *keyPlace) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.plain, "plain", false, "no passphrase: whoever can read the file can sign")
	cmd.Flags().StringVar(&p.out, "out", "", "file to write instead of keys/NAME.key in the home")
	cmd.Flags().StringVar(&p.prefix, "prefix", "", "prefix of the address shown (default that of the home's genesis, else "+defaultPrefix+")")
}

func (c *cli) keyNewCommand() *cobra.Command {
	var place keyPlace
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a new key",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return &failure{tried: "draw a key", cause: err}
			}
			return c.storeKey(args[0], key, place)
		},
	}
	place.flags(cmd)
	return c.jsonFlag(cmd)
}

func (c *cli) keyImportCommand() *cobra.Command {
	var place keyPlace
	cmd := &cobra.Command{
		Use:   "import NAME FILE|-",
		Short: "Take a key from elsewhere",
		Long: `Take a key from a file, or from standard input if it is called "-": either the
32 bytes of an Ed25519 seed in hex, or a Grapevine key file.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := c.readForeignKey(args[1])
			if err != nil {
				return err
			}
			return c.storeKey(args[0], key, place)
		},
	}
	place.flags(cmd)
	return c.jsonFlag(cmd)
}

func (c *cli) keyListCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "list",
		Short: "List the keys of the home",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			keys, err := c.listKeys()
			if err != nil {
				return err
			}
			return c.show(map[string][]keyReport{"keys": keys}, func(w io.Writer) {
				rows := make([][]string, 0, len(keys))
				for _, k := range keys {
					note := "plain"
					switch {
					case k.Problem != "":
						note = k.Problem
					case k.Encrypted:
						note = "encrypted"
					}
					rows = append(rows, []string{k.Name, k.Address, note})
				}
				table(w, []string{"NAME", "ADDRESS", "FILE"}, rows)
			})
		},
	})
}

func (c *cli) keyShowCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "show NAME",
		Short: "Show a key's address, never its secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := c.listKeys()
			if err != nil {
				return err
			}
			for _, k := range keys {
				if k.Name != args[0] {
					continue
				}
				if k.Problem != "" {
					return &failure{tried: "read key " + k.Name, cause: errors.New(k.Problem)}
				}
				return c.show(k, k.print)
			}
			return c.noSuchKey(args[0])
		},
	})
}

func (k keyReport) print(w io.Writer) {
	facts(w, "name", k.Name, "address", k.Address, "public key", k.PublicKey, "file", k.File, "encrypted", yesNo(k.Encrypted))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (c *cli) noSuchKey(name string) error {
	dir, err := c.homeDir()
	if err != nil {
		return err
	}
	return &failure{
		tried:  "find key " + name,
		cause:  fmt.Errorf("there is none of that name in %s", filepath.Join(dir, keysDir)),
		remedy: "`grapevine key list` shows those there are, `grapevine key new " + name + "` makes it",
		code:   "no_such_key",
	}
}

func (c *cli) listKeys() ([]keyReport, error) {
	dir, err := c.homeDir()
	if err != nil {
		return nil, err
	}
	entries, err := keyfile.List(filepath.Join(dir, keysDir))
	if err != nil {
		return nil, &failure{tried: "list the keys", cause: err}
	}
	keys := make([]keyReport, 0, len(entries))
	for _, e := range entries {
		k := reportKey(e.Name, e.Path, e.Address, c.prefix(), e.Encrypted)
		if e.Err != nil {
			k.Address, k.PublicKey, k.Problem = "", "", e.Err.Error()
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func reportKey(name, path string, a wire.Address, prefix string, encrypted bool) keyReport {
	return keyReport{
		Name: name, Address: a.Encode(prefix), PublicKey: hex.EncodeToString(a[:]),
		File: path, Encrypted: encrypted,
	}
}

// prefix is that of the home's network, or the usual one without a home.
func (c *cli) prefix() string {
	if dir, err := c.homeDir(); err == nil {
		if b, err := os.ReadFile(filepath.Join(dir, genesisFile)); err == nil {
			if g, err := wire.ParseGenesis(b); err == nil {
				return g.AddressPrefix
			}
		}
	}
	return defaultPrefix
}

// storeKey writes a key to where place says and reports it.
func (c *cli) storeKey(name string, key ed25519.PrivateKey, place keyPlace) error {
	if !keyName.MatchString(name) {
		return wrongUsage("key name %q: want letters, digits, - and _, at most 64", name)
	}
	if place.prefix == "" {
		place.prefix = c.prefix()
	} else if !wire.ValidPrefix(place.prefix) {
		return wrongUsage("--prefix %q: want a lower-case letter, then lower-case letters and digits, at most %d in all", place.prefix, wire.MaxAddressPrefix)
	}
	path := place.out
	if path == "" {
		dir, err := c.homeDir()
		if err != nil {
			return err
		}
		path = filepath.Join(dir, keysDir, name+keyfile.Extension)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return &failure{tried: "make the folder for keys", cause: err, remedy: "give --home a directory you may write to"}
		}
	}
	if _, err := os.Lstat(path); err == nil { // said before anybody types a passphrase
		return keyFailure("store key "+name, fmt.Errorf("%s: %w", path, keyfile.Exists))
	}
	var pass string
	if !place.plain {
		var err error
		if pass, err = c.passphrase("the new key "+name, true); err != nil {
			return err
		}
	}
	if err := keyfile.Create(path, key, pass); err != nil {
		return keyFailure("store key "+name, err)
	}
	k := reportKey(name, path, keyfile.Address(key), place.prefix, !place.plain)
	return c.show(k, k.print)
}

// keyFailure adds what to do where the key file's own text does not say it.
func keyFailure(tried string, err error) error {
	f := &failure{tried: tried, cause: err, code: "key_file"}
	if errors.Is(err, keyfile.Exists) {
		f.remedy = "choose another name; keys are never written over"
	}
	return f
}

// parseAccount reads an account as a person names it: by its address, or by the
// name of a key of the home.
func (c *cli) parseAccount(prefix, what, s string) (wire.Address, error) {
	if !keyName.MatchString(s) {
		return parseAddress(prefix, what, s)
	}
	a, err := wire.ParseAddress(prefix, s)
	if err == nil {
		return a, nil
	}
	if home, failed := c.homeDir(); failed == nil {
		entries, _ := keyfile.List(filepath.Join(home, keysDir)) // without a folder there is no such name
		for _, e := range entries {
			if e.Name == s && e.Err == nil {
				return e.Address, nil
			}
		}
	}
	return a, wrongUsage("%s %s: it is no key of the home, and not an address of this network either: %w", what, s, err)
}

// readForeignKey reads a key to import.
func (c *cli) readForeignKey(path string) (ed25519.PrivateKey, error) {
	const maxForeign = 64 << 10
	var in io.Reader = c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &failure{tried: "read the key to import", cause: err, remedy: "name a file you may read"}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxForeign))
	if err != nil {
		return nil, &failure{tried: "read the key to import", cause: err}
	}
	seed, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err == nil && len(seed) == ed25519.SeedSize {
		return ed25519.NewKeyFromSeed(seed), nil
	}
	if path == "-" {
		return nil, &failure{
			tried: "import the key", cause: errors.New("standard input does not hold the 64 hex digits of a seed"),
			remedy: "a Grapevine key file is imported by its name, not from standard input", code: "key_file",
		}
	}
	key, err := keyfile.Load(path, func() (string, error) { return c.passphrase(path, false) })
	if errors.Is(err, keyfile.NotKeyFile) {
		err = fmt.Errorf("%s holds neither the 64 hex digits of a seed nor a Grapevine key", path)
	}
	if err != nil {
		return nil, keyFailure("import the key", err)
	}
	return key, nil
}

// loadKey opens the wallet's key called name.
func (c *cli) loadKey(name string) (ed25519.PrivateKey, error) {
	if !keyName.MatchString(name) {
		return nil, wrongUsage("key name %q: want letters, digits, - and _, at most 64", name)
	}
	dir, err := c.homeDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, keysDir, name+keyfile.Extension)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, c.noSuchKey(name)
	}
	key, err := keyfile.Load(path, func() (string, error) { return c.passphrase("key "+name, false) })
	if err != nil {
		return nil, keyFailure("open key "+name, err)
	}
	return key, nil
}
