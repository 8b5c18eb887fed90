package keyfile_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grapevine-p2p/grapevine/node/keyfile"
)

func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	path := filepath.Join(dir, "alice.key")
	fmt.Println(keyfile.Create(path, key, ""))
	loaded, err := keyfile.Load(path, nil)
	fmt.Println(loaded.Equal(key), err)
	// Output:
	// <nil>
	// true <nil>
}
