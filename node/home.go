package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// ConfigPath is where a home has the operator's settings.
func ConfigPath(home string) string { return filepath.Join(home, "config.toml") }

// GenesisPath is where a home has the genesis of its network.
func GenesisPath(home string) string { return filepath.Join(home, "genesis.json") }

// NodeKeyPath is where a home has the key of the node's peer id.
func NodeKeyPath(home string) string { return filepath.Join(home, "node.key") }

// ProducerKeyPath is where a producer's key is looked for unless told otherwise.
func ProducerKeyPath(home string) string { return filepath.Join(home, "producer.key") }

// KeysDir is where wallets keep their keys.
func KeysDir(home string) string { return filepath.Join(home, "keys") }

// SocketPath is where the socket of the API is by default.
func SocketPath(home string) string { return filepath.Join(home, "api.sock") }

// TokenPath is where the tokens of the API are.
func TokenPath(home string) string { return filepath.Join(home, "api.token") }

func dataDir(home string) string  { return filepath.Join(home, "data") }
func lockPath(home string) string { return filepath.Join(home, "lock") }

// InitOptions say what a new home holds.
type InitOptions struct {
	Genesis      *wire.Genesis
	Producer     ed25519.PrivateKey // written in plain as producer.key; nil for none
	ProducerFile string             // a key file to copy as producer.key, as it is; empty for none
	Config       *config.Config     // nil means the defaults
	Listen       []string           // if any, instead of those of Config
	Bootstrap    []string           // if any, instead of those of Config
}

// InitHome makes a home in dir, which may exist but must not hold one. On error
// nothing of it stays.
func InitHome(dir string, opt InitOptions) error {
	files, err := opt.files()
	if err != nil {
		return fmt.Errorf("init home %s: %w", dir, err)
	}
	for _, path := range []string{GenesisPath(dir), ConfigPath(dir), NodeKeyPath(dir), dataDir(dir)} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("init home %s: %s exists already; choose another folder, or move it away", dir, path)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("init home %s: %w; check the path and its permissions", dir, err)
	}
	_, nodeKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("init home %s: %w", dir, err)
	}
	var made []string
	step := func(path string, write func() error) {
		if err == nil {
			if err = write(); err == nil {
				made = append(made, path)
			}
		}
	}
	step(NodeKeyPath(dir), func() error { return keyfile.Create(NodeKeyPath(dir), nodeKey, "") })
	if opt.Producer != nil {
		step(ProducerKeyPath(dir), func() error { return keyfile.Create(ProducerKeyPath(dir), opt.Producer, "") })
	}
	for _, f := range files {
		step(filepath.Join(dir, f.name), func() error { return writeNew(filepath.Join(dir, f.name), f.text) })
	}
	if err == nil {
		err = errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
	}
	if err != nil {
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
		return fmt.Errorf("init home %s: %w", dir, err)
	}
	return nil
}

type homeFile struct {
	name string
	text []byte
}

// files returns what InitHome writes besides the keys that it makes. Genesis
// comes last: a home is one once it has it.
func (o InitOptions) files() ([]homeFile, error) {
	if o.Genesis == nil {
		return nil, errors.New("no genesis is given")
	}
	if err := o.Genesis.Validate(); err != nil {
		return nil, err
	}
	if o.Producer != nil && o.ProducerFile != "" {
		return nil, errors.New("both a producer key and a file with one are given")
	}
	settings := config.Default()
	if o.Config != nil {
		settings = *o.Config
	}
	if len(o.Listen) > 0 {
		settings.Listen = o.Listen
	}
	if len(o.Bootstrap) > 0 {
		settings.Bootstrap = o.Bootstrap
	}
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	var files []homeFile
	if o.ProducerFile != "" {
		text, err := os.ReadFile(o.ProducerFile)
		if err != nil {
			return nil, fmt.Errorf("producer key: %w", err)
		}
		files = append(files, homeFile{"producer.key", text})
	}
	return append(files, homeFile{"config.toml", config.Template(settings)}, homeFile{"genesis.json", o.Genesis.JSON()}), nil
}

func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// syncDir puts the names of new files in dir on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// home is an open home: its lock is held.
type home struct {
	lock     *flock.Flock
	genesis  *wire.Genesis
	key      ed25519.PrivateKey // of the peer id
	producer ed25519.PrivateKey // nil for none
}

// openHome locks the home and reads what it holds.
func openHome(cfg Config) (*home, error) {
	if _, err := os.Stat(cfg.Home); err != nil {
		return nil, fmt.Errorf("open home %s: %w; make it with `grapevine init --home %s`", cfg.Home, err, cfg.Home)
	}
	h := &home{lock: flock.New(lockPath(cfg.Home), flock.SetPermissions(0o600))}
	locked, err := h.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock home %s: %w; check its permissions", cfg.Home, err)
	}
	if !locked {
		return nil, fmt.Errorf("home %s is in use%s; stop that node first, or give this one its own --home", cfg.Home, lockedBy(cfg.Home))
	}
	// For people only, so a failure does not matter; the lock is what counts.
	_ = os.WriteFile(lockPath(cfg.Home), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600)
	if err := h.read(cfg); err != nil {
		return nil, errors.Join(err, h.lock.Close())
	}
	return h, nil
}

func lockedBy(home string) string {
	pid, err := os.ReadFile(lockPath(home))
	if err != nil || len(bytes.TrimSpace(pid)) == 0 {
		return ""
	}
	return " by process " + strings.TrimSpace(string(pid))
}

func (h *home) read(cfg Config) error {
	path := GenesisPath(cfg.Home)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("home %s has no genesis.json: make a home with `grapevine init`, or copy the network's genesis.json there", cfg.Home)
	} else if err != nil {
		return fmt.Errorf("read genesis: %w", err)
	}
	if h.genesis, err = wire.ParseGenesis(text); err != nil {
		return fmt.Errorf("%s: %w; get the network's genesis.json anew", path, err)
	}
	if h.key, err = keyfile.Load(NodeKeyPath(cfg.Home), nil); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("home %s has no node.key: restore it from a backup, or make a new home with `grapevine init`", cfg.Home)
	} else if err != nil {
		return fmt.Errorf("node key: %w", err)
	}
	path = cfg.ProducerKey
	if path == "" {
		path = ProducerKeyPath(cfg.Home)
	}
	h.producer, err = keyfile.Load(path, cfg.Passphrase)
	if cfg.ProducerKey == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("producer key: %w", err)
	}
	return nil
}
