package wire_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/wire"
)

func ExampleSignTx() {
	network := wire.NetworkID{7}
	key := ed25519.NewKeyFromSeed(make([]byte, 32)) // a real one comes from a key file
	sender := wire.Address(key.Public().(ed25519.PublicKey))

	tx := wire.SignTx(network, key, &wire.TxBody{
		Version: wire.TxVersion, Sender: sender, Nonce: 0, Fee: 500, To: wire.Address{1, 2, 3}, Amount: 7,
	})

	// What another node does with the bytes.
	received, err := wire.DecodeTransaction(tx.Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := wire.DecodeTxBody(received.Body())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(received.ID() == tx.ID(), body.Amount, wire.VerifyTx(network, body.Sender, received))
	fmt.Println(wire.VerifyTx(wire.NetworkID{8}, body.Sender, received))
	// Output:
	// true 7 true
	// false
}

func ExampleDecodeTransaction_malformed() {
	tx := wire.NewTransaction([]byte("any body"), wire.Signature{})
	_, err := wire.DecodeTransaction(append(tx.Bytes(), 0))
	fmt.Println(err)
	fmt.Println(errors.Is(err, wire.TrailingBytes))
	// Output:
	// decode transaction: field number 0: wire: trailing bytes
	// true
}

func ExampleParseAddress() {
	text := wire.Address{1, 2, 3}.Encode("gv")
	_, err := wire.ParseAddress("gvtest", text)
	fmt.Println(errors.Is(err, wire.AddressWrongPrefix))
	// Output: true
}

func ExampleGenesis_JSON() {
	g := &wire.Genesis{
		Network: "vine-1", AddressPrefix: "gv", Time: 1_700_000_000_000, SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{{7}}}},
		Rules:     []wire.RuleChange{{Version: wire.HeaderVersion}},
		Limits:    wire.DefaultLimits(),
	}
	again, err := wire.ParseGenesis(g.JSON())
	fmt.Println(err, again.ID() == g.ID())
	fmt.Printf("%s", g.JSON())
	// Output:
	// <nil> true
	// {
	//   "network": "vine-1",
	//   "address_prefix": "gv",
	//   "time": 1700000000000,
	//   "slot_millis": 1000,
	//   "allocations": [],
	//   "producers": [
	//     {
	//       "height": 0,
	//       "producers": [
	//         "gv1quqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqm3q6hp"
	//       ]
	//     }
	//   ],
	//   "rules": [
	//     {
	//       "height": 0,
	//       "version": 1
	//     }
	//   ],
	//   "limits": {
	//     "min_fee_per_byte": "1",
	//     "max_tx_bytes": 131072,
	//     "max_block_bytes": 4194304,
	//     "max_block_txs": 40000,
	//     "clock_tolerance_millis": 2000
	//   }
	// }
}
