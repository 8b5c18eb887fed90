package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// devNetwork is a chain of one's own, of which this node is the only producer.
const devNetwork = "dev"

// networks are those that need no genesis file.
var networks = []string{devNetwork}

const (
	devFunds = 1_000_000_000_000 // of the wallet key: more than anybody tries out
	devSlot  = time.Second
)

type initFlags struct {
	network     string
	genesis     string
	producerKey string
	bootstrap   []string
	listen      []string
}

// initReport says what a new home holds.
type initReport struct {
	Home      string         `json:"home"`
	Network   string         `json:"network"`
	NetworkID wire.NetworkID `json:"network_id"`
	Node      string         `json:"node"`               // peer id
	Producer  string         `json:"producer,omitempty"` // address
	Wallet    string         `json:"wallet,omitempty"`   // address of the key called default
}

func (c *cli) initCommand() *cobra.Command {
	var f initFlags
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "init",
		Short: "Make a home for a node",
		Long: `Make a home for a node: its identity, its settings and its network's genesis.

With --genesis FILE it joins the network of that file. Without, or with --network
dev, it founds a chain of its own: this node makes its blocks, and the key
"default" in the home owns all the money.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.init(f) },
	})
	cmd.Flags().StringVar(&f.network, "network", "", "a built-in network: "+strings.Join(networks, ", ")+" (the default without --genesis)")
	cmd.Flags().StringVar(&f.genesis, "genesis", "", "genesis file of the network to join")
	cmd.Flags().StringVar(&f.producerKey, "producer-key", "", "key file to copy into the home: this node makes blocks with it")
	cmd.Flags().StringSliceVar(&f.bootstrap, "bootstrap", nil, "address of a peer to join through, ending in /p2p/ID (repeatable); written to "+configFile)
	cmd.Flags().StringSliceVar(&f.listen, "listen", nil, "address to listen on (repeatable); written to "+configFile)
	cmd.MarkFlagsMutuallyExclusive("network", "genesis")
	return cmd
}

func (c *cli) init(f initFlags) error {
	home, err := c.homeDir()
	if err != nil {
		return err
	}
	opt := node.InitOptions{ProducerFile: f.producerKey, Bootstrap: f.bootstrap, Listen: f.listen}
	if f.producerKey != "" {
		if err := checkProducerFile(f.producerKey); err != nil {
			return err
		}
	}
	undo := func() {}
	switch {
	case f.genesis != "":
		opt.Genesis, err = readGenesis(f.genesis)
	case f.network == "" || f.network == devNetwork:
		undo, err = foundDev(home, &opt)
	default:
		err = wrongUsage("there is no network %q built in, only: %s; join any other with --genesis FILE", f.network, strings.Join(networks, ", "))
	}
	if err != nil {
		return err
	}
	if err := node.InitHome(home, opt); err != nil {
		undo()
		return homeFailure(err)
	}
	report, err := reportHome(home, opt.Genesis)
	if err != nil {
		return err
	}
	return c.show(report, report.print)
}

func homeFailure(err error) error {
	return &failure{tried: "make a home", cause: err, remedy: "name another directory with --home; a home is never written over", code: "init"}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// checkProducerFile opens the file as far as that goes without its passphrase.
func checkProducerFile(path string) error {
	_, err := keyfile.Load(path, nil)
	if err == nil || errors.Is(err, keyfile.NeedsPassphrase) {
		return nil
	}
	return keyFailure("use the producer key", err)
}

// foundDev makes the genesis and the keys of a chain of one's own. undo takes
// back what it wrote.
func foundDev(home string, opt *node.InitOptions) (undo func(), err error) {
	undo = func() {}
	if path := node.GenesisPath(home); exists(path) { // said before any key is made
		return undo, homeFailure(fmt.Errorf("%s exists already", path))
	}
	producer, err := devProducer(opt)
	if err != nil {
		return undo, err
	}
	path := filepath.Join(node.KeysDir(home), defaultKey+keyfile.Extension)
	wallet, made, err := devWallet(home, path)
	if err != nil {
		return undo, err
	}
	if made {
		undo = func() { _ = os.Remove(path) } // best effort: the failure that led here is what counts
	}
	opt.Genesis, err = newGenesis(
		devNetwork, defaultPrefix, time.Now(), devSlot,
		[]wire.Address{producer}, []wire.Allocation{{Address: wallet, Amount: devFunds}},
	)
	if err != nil {
		undo()
		return undo, &failure{tried: "found a network", cause: err}
	}
	return undo, nil
}

// devProducer is the key given, or a new one.
func devProducer(opt *node.InitOptions) (wire.Address, error) {
	if opt.ProducerFile == "" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return wire.Address{}, &failure{tried: "draw a key", cause: err}
		}
		opt.Producer = key
		return keyfile.Address(key), nil
	}
	return publicKey(opt.ProducerFile)
}

// publicKey reads the address of a key file, which needs no passphrase.
func publicKey(path string) (wire.Address, error) {
	entries, err := keyfile.List(filepath.Dir(path))
	if err == nil {
		if i := slices.IndexFunc(entries, func(e keyfile.Entry) bool { return filepath.Base(e.Path) == filepath.Base(path) }); i >= 0 {
			return entries[i].Address, entries[i].Err
		}
		err = fmt.Errorf("%s does not end in %s", path, keyfile.Extension)
	}
	return wire.Address{}, &failure{tried: "read the producer key's address", cause: err, remedy: "rename the file"}
}

// devWallet is the key default of the home, made if it is not there.
func devWallet(home, path string) (a wire.Address, made bool, err error) {
	if a, err := publicKey(path); err == nil {
		return a, false, nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return a, false, &failure{tried: "draw a key", cause: err}
	}
	if err := os.MkdirAll(node.KeysDir(home), 0o700); err != nil {
		return a, false, &failure{tried: "make a home", cause: err, remedy: "give --home a directory you may write to"}
	}
	if err := keyfile.Create(path, key, ""); err != nil {
		return a, false, keyFailure("store key "+defaultKey, err)
	}
	return keyfile.Address(key), true, nil
}

func reportHome(home string, g *wire.Genesis) (initReport, error) {
	r := initReport{Home: home, Network: g.Network, NetworkID: g.ID()}
	id, err := peerID(home)
	if err != nil {
		return r, err
	}
	r.Node = id.String()
	for path, address := range map[string]*string{
		node.ProducerKeyPath(home):                                      &r.Producer,
		filepath.Join(node.KeysDir(home), defaultKey+keyfile.Extension): &r.Wallet,
	} {
		if !exists(path) {
			continue
		}
		a, err := publicKey(path)
		if err != nil {
			return r, err
		}
		*address = a.Encode(g.AddressPrefix)
	}
	return r, nil
}

// peerID is the identity that the node of a home has in the network.
func peerID(home string) (peer.ID, error) {
	key, err := keyfile.Load(node.NodeKeyPath(home), nil)
	if err != nil {
		return "", keyFailure("read the node's identity", err)
	}
	public, err := crypto.UnmarshalEd25519PublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return "", &failure{tried: "read the node's identity", cause: err}
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		return "", &failure{tried: "read the node's identity", cause: err}
	}
	return id, nil
}

func (r initReport) print(w io.Writer) {
	pairs := []string{
		"home", r.Home,
		"network", fmt.Sprintf("%s (%s)", r.Network, r.NetworkID.Short()),
		"node", r.Node,
	}
	if r.Producer != "" {
		pairs = append(pairs, "producer", r.Producer)
	}
	if r.Wallet != "" {
		pairs = append(pairs, "wallet", r.Wallet)
	}
	facts(w, pairs...)
}
