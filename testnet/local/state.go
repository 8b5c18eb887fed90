package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Phase is where a network is in its life.
type Phase string

// The phases of a network.
const (
	Off      Phase = "down"
	Starting Phase = "starting"
	On       Phase = "up" // every node was ready and connected once
	Stopping Phase = "stopping"
)

// StateFile is the name of the file that makes a folder a network. Scripts may
// read it; what is alive just now, [Look] says.
const StateFile = "testnet.json"

// stateFormat changes when the file changes its meaning.
const stateFormat = "grapevine-testnet/1"

// maxState is far beyond what MaxNodes daemons need.
const maxState = 4 << 20

// State is what the state file holds.
type State struct {
	Format     string         `json:"format"`
	Network    string         `json:"network"`
	NetworkID  wire.NetworkID `json:"network_id"`
	SlotMS     int64          `json:"slot_ms"`
	Producers  int            `json:"producers"`
	Genesis    string         `json:"genesis"` // file
	Phase      Phase          `json:"phase"`
	Supervisor int            `json:"supervisor_pid"` // 0 when nobody runs the network
	Nodes      []Daemon       `json:"nodes"`
}

// Daemon is one node of the network. Paths are those of the folder as it was
// found.
type Daemon struct {
	Name      string   `json:"name"`
	Home      string   `json:"home"`
	Log       string   `json:"log"`
	PeerID    string   `json:"peer_id"`
	Addresses []string `json:"addresses"` // multiaddrs with the peer id, for others to dial
	APISocket string   `json:"api_socket"`
	APIURL    string   `json:"api_url"`
	TokenFile string   `json:"token_file"`
	Producer  string   `json:"producer,omitempty"` // address; empty where it makes no blocks
	Wallet    string   `json:"wallet"`             // address of the key "default" in the home, with money
	Links     int      `json:"links"`              // connections that it should have
	PID       int      `json:"pid"`                // 0 when it is off
	Ended     string   `json:"ended,omitempty"`    // how its process ended, if not asked to
}

// place fills in the paths, which depend on where the folder is now.
func (d *Daemon) place(dir string) {
	d.Home = filepath.Join(dir, d.Name)
	d.Log = filepath.Join(d.Home, "node.log")
	d.APISocket = node.SocketPath(d.Home)
	d.TokenFile = node.TokenPath(d.Home)
}

// readState reads the state file of a folder.
func readState(dir string) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, StateFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, Missing)
	} else if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, Damaged, err)
	}
	if s.Format != stateFormat || len(s.Nodes) == 0 || len(s.Nodes) > MaxNodes {
		return nil, fmt.Errorf("%s: %w: it has format %q and %d nodes, want %q and 1 to %d", path, Damaged, s.Format, len(s.Nodes), stateFormat, MaxNodes)
	}
	for i := range s.Nodes {
		if name := s.Nodes[i].Name; name != daemonName(i) { // it becomes a path
			return nil, fmt.Errorf("%s: %w: node %d is called %q, want %q", path, Damaged, i, name, daemonName(i))
		}
		s.Nodes[i].place(dir)
	}
	s.Genesis = node.GenesisPath(s.Nodes[0].Home)
	return &s, nil
}

func daemonName(i int) string { return fmt.Sprintf("node-%02d", i) }

// save writes the state file, the whole of it or nothing.
func (s *State) save(dir string) error {
	return report.WriteFile(filepath.Join(dir, StateFile), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	})
}
