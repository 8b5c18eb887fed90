package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	config.AddFlags(fs)
	fs.String("home", "", "not a setting")
	require.NoError(t, fs.Parse(args))
	return fs
}

func TestTheLaterSourceWinsAndIsRemembered(t *testing.T) {
	path := write(t, `
listen = ["/ip4/127.0.0.2/tcp/1"]
profile = "testnet"
[api]
listen = "127.0.0.1:1"
socket = ""
[peers]
inbound = 100
`)
	e, err := config.Load(config.Sources{
		File: path,
		Environ: []string{
			"GRAPEVINE_LISTEN=/ip4/127.0.0.3/tcp/2, /ip4/127.0.0.3/udp/2/quic-v1", "GRAPEVINE_API_LISTEN=127.0.0.1:2",
			"GRAPEVINE_HOME=/somewhere", "GRAPEVINE_PROFILE=", "PATH=/bin", "GRAPEVINE_MEMPOOL_MAX_PER_SENDER=7",
		},
		Flags: flags(t, "--api-listen", "127.0.0.1:3", "--home", "x", "--api-enabled=true"),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"/ip4/127.0.0.3/tcp/2", "/ip4/127.0.0.3/udp/2/quic-v1"}, e.Config.Listen)
	require.Equal(t, "127.0.0.1:3", e.Config.API.Listen)
	require.Equal(t, "", e.Config.API.Socket)
	require.Equal(t, 100, e.Config.Peers.Inbound)
	require.Equal(t, 7, e.Config.Mempool.MaxPerSender)

	require.Equal(t, "default", e.Origin("log.level"))
	require.Equal(t, "file "+path, e.Origin("profile"))
	require.Equal(t, "environment GRAPEVINE_LISTEN", e.Origin("listen"))
	require.Equal(t, "flag --api-listen", e.Origin("api.listen"))
	require.Equal(t, "default", e.Origin("bootstrap"))
	require.Equal(t, "flag --api-enabled", e.Origin("api.enabled"))
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		environ []string
		flags   []string
		want    []string
	}{
		{"unknown key", "lisen = []", nil, nil, []string{`unknown key "lisen"`, `nearest known one is "listen"`, "config.toml"}},
		{"unknown key in a section", "[api]\nsokcet = \"x\"", nil, nil, []string{`"api.sokcet"`, `"api.socket"`}},
		{"unknown section", "[apy]\nsocket = \"x\"", nil, nil, []string{`"apy.socket"`, `"api.socket"`}},
		{"section used as a key", `api = "x"`, nil, nil, []string{`"api" is a section`}},
		{"unknown variable", "", []string{"GRAPEVINE_LISTENN=x"}, nil, []string{"GRAPEVINE_LISTENN", "GRAPEVINE_LISTEN"}},
		{"wrong type", "[peers]\noutbound = \"many\"", nil, nil, []string{"peers.outbound", "whole number", "config.toml"}},
		{"fraction", "[peers]\noutbound = 1.5", nil, nil, []string{"peers.outbound", "whole number"}},
		{"list of numbers", "listen = [1]", nil, nil, []string{"listen", "list of strings"}},
		{"number for a string", "profile = 3", nil, nil, []string{"profile", "string in quotes"}},
		{"syntax", "listen = [", nil, nil, []string{"config.toml line 1"}},
		{"bad choice", "", []string{"GRAPEVINE_PROFILE=private"}, nil, []string{"profile", "private", "testnet", "environment GRAPEVINE_PROFILE"}},
		{"bad multiaddr", "", nil, []string{"--listen", "127.0.0.1:7410"}, []string{"listen", "127.0.0.1:7410", "flag --listen"}},
		{"bootstrap without an id", "", nil, []string{"--bootstrap", "/ip4/127.0.0.1/tcp/1"}, []string{"bootstrap", "/p2p/"}},
		{"no address", "listen = []", nil, nil, []string{"listen", "no address"}},
		{"no inbound", "[peers]\ninbound = 0\noutbound = -1", nil, nil, []string{"peers.inbound", "peers.outbound"}},
		{"a pool beyond repair", "[mempool]\nmax_count = 250_001", nil, nil, []string{"mempool.max_count", "250001", "<= 250000", "config.toml"}},
		{"a name to keep", "[peers]\nkeep = [\"/dnsaddr/example.org\"]", nil, nil, []string{"peers.keep", "/p2p/"}},
		{"bad truth", "", []string{"GRAPEVINE_API_ENABLED=maybe"}, nil, []string{"api.enabled", "true or false"}},
		{"an API nowhere", "[api]\nsocket=\"\"\nlisten=\"\"", nil, nil, []string{"api.enabled"}},
		{"two at once", "lisen = []\n[log]\nlevle = \"info\"", nil, nil, []string{"lisen", "log.levle"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(config.Sources{File: write(t, tt.file), Environ: tt.environ, Flags: flags(t, tt.flags...)})
			require.Error(t, err)
			for _, part := range tt.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestAnAbsentFileIsNoError(t *testing.T) {
	e, err := config.Load(config.Sources{File: filepath.Join(t.TempDir(), "config.toml")})
	require.NoError(t, err)
	require.Equal(t, config.Default(), e.Config)
}

func TestAnUnreadableFileIsAnError(t *testing.T) {
	_, err := config.Load(config.Sources{File: t.TempDir()})
	require.ErrorContains(t, err, "read ")
}

func TestTemplateSaysWhatIsInForce(t *testing.T) {
	c := config.Default()
	e, err := config.Load(config.Sources{File: write(t, string(config.Template(c)))})
	require.NoError(t, err)
	require.Equal(t, c, e.Config)

	c.Listen = []string{"/ip4/127.0.0.2/tcp/7410"}
	c.API.Socket = `odd "name"\é`
	c.Peers.Inbound = 81
	c.Bootstrap = []string{"/dnsaddr/bootstrap.example.org"}
	e, err = config.Load(config.Sources{File: write(t, string(config.Template(c)))})
	require.NoError(t, err)
	require.Equal(t, c, e.Config)

	// Every default written out, by taking the single # away.
	var lines []string
	for line := range strings.Lines(string(config.Template(config.Default()))) {
		if strings.HasPrefix(line, "# ") && strings.Contains(line, " = ") {
			line = line[2:]
		}
		lines = append(lines, line)
	}
	path := write(t, strings.Join(lines, ""))
	e, err = config.Load(config.Sources{File: path})
	require.NoError(t, err)
	for _, entry := range e.Entries() {
		require.Equal(t, "file "+path, entry.Origin, entry.Key)
	}
}

func ExampleEffective_Entries() {
	e, err := config.Load(config.Sources{Environ: []string{"GRAPEVINE_LOG_LEVEL=debug"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, entry := range e.Entries() {
		if strings.HasPrefix(entry.Key, "log.") {
			fmt.Printf("%s = %s # %s\n", entry.Key, entry.Value, entry.Origin)
		}
	}
	// Output:
	// log.level = "debug" # environment GRAPEVINE_LOG_LEVEL
	// log.format = "text" # default
}
