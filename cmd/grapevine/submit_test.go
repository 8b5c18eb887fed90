package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestSubmitWhatWasSignedElsewhere hands transactions over in every form they
// come in, and broken ones, each of which has its own code and remedy.
func TestSubmitWhatWasSignedElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a daemon")
	}
	nw := newNetwork(t, 1, 1, 500*time.Millisecond)
	d := nw.daemons[0]
	d.start(t)
	d.awaitAPI(t)
	g, err := d.api.Genesis(t.Context())
	require.NoError(t, err)
	key, err := keyfile.Load(filepath.Join(nw.wallet, "keys", "default.key"), nil)
	require.NoError(t, err)
	body := func(nonce uint64) *wire.TxBody {
		return &wire.TxBody{
			Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: nonce, Fee: 10_000,
			To: wire.Address{1}, Amount: 1, Payload: []byte("signed elsewhere"),
		}
	}
	sign := func(nonce uint64) *wire.Transaction { return wire.SignTx(g.ID(), key, body(nonce)) }
	asJSON := func(tx *wire.Transaction, edit func(*api.Submission)) []byte {
		s, err := api.NewSubmission(tx, g.AddressPrefix)
		require.NoError(t, err)
		edit(&s)
		b, err := json.Marshal(s)
		require.NoError(t, err)
		return b
	}
	keep := func(*api.Submission) {}
	// submit returns the exit status and the document that --json prints.
	submit := func(t *testing.T, input []byte, piped bool) (status int, doc []byte) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "tx")
		require.NoError(t, os.WriteFile(file, input, 0o600))
		args := []string{"tx", "submit", file, "--home", d.home, "--json"}
		if piped {
			args[2] = "-"
		}
		cmd := exec.Command("grapevine", args...)
		cmd.Stdin = bytes.NewReader(input)
		out, err := cmd.Output()
		return exitStatus(err), out
	}

	third := sign(2)
	good := []struct {
		name  string
		input []byte
		piped bool
		id    wire.TxID
	}{
		{"bytes", sign(0).Bytes(), false, sign(0).ID()},
		{"hex from a pipe", []byte(hex.EncodeToString(sign(1).Bytes()) + "\n"), true, sign(1).ID()},
		{"JSON", asJSON(third, keep), false, third.ID()},
		{"JSON that names its network", asJSON(sign(3), func(s *api.Submission) { s.Network = g.ID().String() }), true, sign(3).ID()},
		{"the same again", third.Bytes(), false, third.ID()},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			status, doc := submit(t, tt.input, tt.piped)
			require.Equal(t, exitDone, status, "%s", doc)
			var s api.TxStatus
			require.NoError(t, json.Unmarshal(doc, &s))
			require.Equal(t, tt.id, s.ID)
		})
	}
	d.until(t, "include them", func() bool { return d.nonce(t, nw.address) == 4 })

	forged := sign(4).Bytes()
	forged[len(forged)-1] ^= 1
	rich := body(4)
	rich.Amount = 1 << 62
	bad := []struct {
		name  string
		input []byte
		code  string
	}{
		{"broken signature", forged, "bad_signature"},
		{"for another network", wire.SignTx(wire.NetworkID{1}, key, body(4)).Bytes(), "bad_signature"},
		{"says it is for another network", asJSON(sign(4), func(s *api.Submission) {
			s.Network = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		}), "wrong_network"},
		{"address of another network", asJSON(sign(4), func(s *api.Submission) { s.Body.To = wire.Address{1}.Encode("other") }), "wrong_address"},
		{"stale nonce", wire.SignTx(g.ID(), key, &wire.TxBody{Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: 0, Fee: 20_000}).Bytes(), "stale_nonce"},
		{"nonce too far", sign(10_000).Bytes(), "nonce_too_far"},
		{"too little balance", wire.SignTx(g.ID(), key, rich).Bytes(), "overdraft"},
		{"a byte too many", append(sign(4).Bytes(), 0), "trailing_bytes"},
		{"cut short", sign(4).Bytes()[:50], "truncated"},
		{"too long", bytes.Repeat([]byte{0xff}, wire.MaxTx+1), "too_large"},
		{"far too long", bytes.Repeat([]byte{0xff}, maxInput+1), "too_large"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			status, doc := submit(t, tt.input, false)
			require.Equal(t, exitFailed, status, "%s", doc)
			var report errorReport
			require.NoError(t, json.Unmarshal(doc, &report), "%s", doc)
			if tt.code != "" {
				require.Equal(t, tt.code, report.Error.Code, "%s", doc)
			}
			require.NotEmpty(t, report.Error.Remedy)
			require.NotEmpty(t, report.Error.Message)
		})
	}
}
