package node_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// TestMembers asks a node of two for the members, by its API and by its metrics.
func TestMembers(t *testing.T) {
	g := genesisOf("members", keys(1)[0])
	dir, err := os.MkdirTemp("", "gv") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "api.sock")

	a := start(t, configOf(t, newHome(t, g, nil), nil))
	cfg := configOf(t, newHome(t, g, nil), nil)
	cfg.API.Disabled, cfg.API.Socket, cfg.API.Listen = false, socket, ""
	cfg.Bootstrap = []string{a.addr()}
	b := start(t, cfg)

	client, err := api.NewClient(api.Options{Socket: socket})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	var got api.Members
	eventually(t, "the other is a member", func() bool {
		got, err = client.Members(t.Context())
		require.NoError(t, err)
		return len(got.Members) == 1
	})
	require.Equal(t, api.MemberCount{NetworkSize: 2, Alive: 1}, got.MemberCount)
	m := got.Members[0]
	require.Equal(t, a.ID().String(), m.ID)
	require.Equal(t, "alive", m.State)
	require.True(t, m.Linked)
	require.NotEmpty(t, m.Addrs)
	require.NotZero(t, m.Since)
	require.GreaterOrEqual(t, m.Proof, m.Since)
	status, err := client.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, &got.MemberCount, status.Members)

	numbers := scrape(t, socket)
	require.Contains(t, numbers, "grapevine_network_size 2\n")
	require.Contains(t, numbers, `grapevine_members{state="alive"} 1`+"\n")
	manual, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	for _, line := range strings.Split(numbers, "\n") {
		if name, ok := strings.CutPrefix(line, "# HELP grapevine_member"); ok {
			name, _, _ = strings.Cut(name, " ")
			require.Contains(t, string(manual), "`grapevine_member"+name)
		}
	}

	require.NoError(t, a.end())
	eventually(t, "it left", func() bool {
		got, err = client.Members(t.Context())
		require.NoError(t, err)
		return got.Dead == 1
	})
	require.NoError(t, b.end())
}

func scrape(t *testing.T, socket string) string {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer web.CloseIdleConnections()
	answer, err := web.Get("http://grapevine/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}
