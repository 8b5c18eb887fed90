package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grapevine-p2p/grapevine/internal/nearest"
	"github.com/grapevine-p2p/grapevine/testnet/scenarios"
)

const ending = ".yaml"

// Info is what a list of scenarios shows.
type Info struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	World       string `json:"world"`
	Relay       string `json:"relay"`
	Nodes       int    `json:"nodes"`
}

// Shipped are the scenarios that are part of the program, in order of name.
func Shipped() ([]Info, error) {
	var infos []Info
	for _, name := range shippedNames() {
		s, err := Load(name)
		if err != nil {
			return nil, fmt.Errorf("shipped scenario %s: %w", name, err)
		}
		infos = append(infos, Info{s.Name, s.Description, s.World, s.Relay, s.Nodes})
	}
	return infos, nil
}

func shippedNames() []string {
	files, _ := fs.Glob(scenarios.Files, "*"+ending) // the pattern is a good one
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ending)
	}
	slices.Sort(files)
	return files
}

// ErrUnknown is the error of a name that is neither shipped nor a file.
var ErrUnknown = errors.New("no such scenario")

// Load reads the scenario at a path, or the shipped one of that name. A name
// without a separator and ending is a shipped one.
func Load(name string) (*Scenario, error) {
	if !strings.ContainsAny(name, `/\`) && filepath.Ext(name) != ending {
		text, err := fs.ReadFile(scenarios.Files, name+ending)
		if err != nil {
			return nil, fmt.Errorf("%w: %q; the nearest shipped one is %s, and a file of yours needs its path or the ending %s", ErrUnknown, name, nearest.Name(name, shippedNames()), ending)
		}
		return Parse(path.Join("scenarios", name+ending), text)
	}
	text, err := readBounded(name)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(name, text)
}

// readBounded reads a file, and no more of it than Parse can refuse.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}
