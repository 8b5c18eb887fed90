package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/config"
)

// Files of a home that the command itself names.
const (
	configFile  = "config.toml"
	genesisFile = "genesis.json"
	tokenFile   = "api.token"
)

// nodeFlags gives cmd the flags that say which node it talks to.
func (c *cli) nodeFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&c.api, "api", "", "the node: http://host:port or the path of its socket (default $GRAPEVINE_API, or the home's socket)")
	cmd.Flags().StringVar(&c.token, "token", "", "token for --api over HTTP, from the node's api.token (default $GRAPEVINE_TOKEN)")
	return c.jsonFlag(cmd)
}

// client returns a client of the node this run is about. It opens no
// connection: a node that is not there is found by the first question.
func (c *cli) client() (*api.Client, error) { return c.clientRetrying(0) }

// clientRetrying is client with a word on how long an event stream that broke
// is tried again; 0 is the client's own choice.
func (c *cli) clientRetrying(retry time.Duration) (*api.Client, error) {
	opt, err := c.clientOptions()
	if err != nil {
		return nil, err
	}
	opt.Retry = retry
	client, err := api.NewClient(opt)
	if err != nil {
		return nil, wrongUsage("--api: %w", err)
	}
	return client, nil
}

func (c *cli) clientOptions() (api.Options, error) {
	place := c.api
	if place == "" {
		place = c.getenv("GRAPEVINE_API")
	}
	token := c.token
	if token == "" {
		token = c.getenv("GRAPEVINE_TOKEN")
	}
	switch {
	case strings.HasPrefix(place, "unix://"):
		return api.Options{Socket: strings.TrimPrefix(place, "unix://"), Token: token}, nil
	case strings.Contains(place, "://"):
		return api.Options{URL: place, Token: token}, nil
	case strings.ContainsRune(place, filepath.Separator):
		return api.Options{Socket: place, Token: token}, nil
	case place != "":
		return api.Options{URL: "http://" + place, Token: token}, nil
	}
	return c.homeOptions(token)
}

// homeOptions finds the node of the home by the settings it runs with.
func (c *cli) homeOptions(token string) (api.Options, error) {
	home, err := c.homeDir()
	if err != nil {
		return api.Options{}, err
	}
	settings, err := loadConfig(home, nil)
	if err != nil {
		return api.Options{}, err
	}
	where := settings.Config.API
	switch {
	case !where.Enabled:
		return api.Options{}, &failure{
			tried: "find the API of the node in " + home, cause: errors.New("api.enabled is false (" + settings.Origin("api.enabled") + ")"),
			remedy: "set it to true and restart the node", exit: exitUnreachable, code: "unreachable",
		}
	case where.Socket != "":
		return api.Options{Socket: inHome(home, where.Socket), Token: token}, nil
	}
	if token == "" {
		if token, err = homeToken(home); err != nil {
			return api.Options{}, err
		}
	}
	return api.Options{URL: "http://" + where.Listen, Token: token}, nil
}

// homeToken reads the token with the least rights that suffice for every
// command here.
func homeToken(home string) (string, error) {
	path := filepath.Join(home, tokenFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // the node never ran; the first question says so
	}
	if err != nil {
		return "", &failure{tried: "read the API token", cause: err, remedy: "run this as the user that runs the node, or give --token"}
	}
	for line := range strings.Lines(string(b)) {
		if token, ok := strings.CutPrefix(strings.TrimSpace(line), api.Submit.String()+" "); ok {
			return token, nil
		}
	}
	return "", &failure{tried: "read the API token", cause: fmt.Errorf("%s has no line %q", path, api.Submit.String()+" …"), remedy: "delete the file and restart the node: it makes a new one"}
}

// inHome resolves a path of the settings.
func inHome(home, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

// loadConfig reads the settings of a home. flags may be nil.
func loadConfig(home string, cmd *cobra.Command) (*config.Effective, error) {
	src := config.Sources{File: filepath.Join(home, configFile), Environ: os.Environ()}
	if cmd != nil {
		src.Flags = cmd.Flags()
	}
	settings, err := config.Load(src)
	if err != nil {
		return nil, &failure{
			tried: "read the settings of the node in " + home, cause: err,
			remedy: "correct what is named there; `grapevine run --help` lists every setting", code: "config",
		}
	}
	return settings, nil
}
