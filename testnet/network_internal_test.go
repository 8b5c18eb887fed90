package testnet

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

func TestReachFollowsMeshLinksOnly(t *testing.T) {
	ids := []string{"a", "b", "c", "d"}
	mesh := func(id string) api.Peer { return api.Peer{ID: id, InTxMesh: true} }
	in := func(p api.Peer) bool { return p.InTxMesh }
	for name, c := range map[string]struct {
		v    view
		want int
	}{
		"nobody":          {view{nil, nil, nil, nil}, 1},
		"a chain":         {view{{mesh("b")}, {mesh("c")}, {mesh("d")}, nil}, 4},
		"from its middle": {view{nil, {mesh("a"), mesh("c")}, nil, nil}, 3},
		"in two halves":   {view{{mesh("b")}, nil, {mesh("d")}, nil}, 2},
		"connected only":  {view{{mesh("b")}, {{ID: "c"}}, {{ID: "d"}}, nil}, 2},
		"with a stranger": {view{{mesh("x"), mesh("b")}, nil, nil, nil}, 2},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, Reach(c.v, ids, in)) })
	}
}

func TestHome(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, remove, err := home("")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600))
	remove()
	require.NoDirExists(t, dir)

	mine := filepath.Join(t.TempDir(), "new", "folder")
	dir, remove, err = home(mine)
	require.NoError(t, err)
	require.Equal(t, mine, dir)
	remove()
	require.DirExists(t, mine, "the caller's folder stays")
}
