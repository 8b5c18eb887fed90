package store

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

// TestStamps holds every stamp that is not ours against the answer to it.
func TestStamps(t *testing.T) {
	network := wire.NetworkID{1}
	stamp := func(version uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, version), rest...)
	}
	for name, tt := range map[string]struct {
		stamp []byte // nil for none
		want  Problem
	}{
		"newer":         {stamp(schema+1, network[:]...), Newer},
		"older":         {stamp(schema-1, network[:]...), Damaged},
		"cut":           {[]byte{0}, Damaged},
		"no network":    {stamp(schema), Damaged},
		"other network": {stamp(schema, make([]byte, 32)...), WrongNetwork},
		"none":          {nil, Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			db, err := pebble.Open("data", &pebble.Options{FS: fs, Logger: quietLogger{&database{}}})
			require.NoError(t, err)
			if tt.stamp == nil {
				require.NoError(t, db.Set([]byte("holiday"), []byte("x"), pebble.Sync))
			} else {
				require.NoError(t, db.Set(keyStamp(), tt.stamp, pebble.Sync))
			}
			require.NoError(t, db.Close())
			_, err = Open("data", Options{FS: fs, Network: network})
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, "data")
		})
	}
}
