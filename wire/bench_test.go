package wire_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/grapevine-p2p/grapevine/wire"
)

// paid is a transfer of about 250 bytes, the size of ordinary transactions.
func paid(network wire.NetworkID, n byte, nonce uint64) *wire.Transaction {
	body := transfer(n, nonce)
	body.Payload = make([]byte, 100)
	return wire.SignTx(network, key(n), body)
}

func BenchmarkDecodeTransaction(b *testing.B) {
	raw := paid(wire.NetworkID{7}, 1, 300).Bytes()
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := wire.DecodeTransaction(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTxBody(b *testing.B) {
	raw := paid(wire.NetworkID{7}, 1, 300).Body()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeTxBody(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkID is the part of decoding that hashes.
func BenchmarkID(b *testing.B) {
	raw := paid(wire.NetworkID{7}, 1, 300).Bytes()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		sha256.Sum256(raw)
	}
}

func BenchmarkDecodeBlock(b *testing.B) {
	network := wire.NetworkID{7}
	var txs []*wire.Transaction
	tx := paid(network, 1, 300)
	for range 4_200 {
		txs = append(txs, tx)
	}
	raw := block(network, txs...).AppendTo(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := wire.DecodeBlock(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyTx(b *testing.B) {
	network := wire.NetworkID{7}
	tx, sender := paid(network, 1, 300), address(1)
	b.ReportAllocs()
	for b.Loop() {
		if !wire.VerifyTx(network, sender, tx) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkVerifyStandardLibrary is the yardstick: one bare verification.
func BenchmarkVerifyStandardLibrary(b *testing.B) {
	tx := paid(wire.NetworkID{7}, 1, 300)
	public := key(1).Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key(1), tx.Body())
	for b.Loop() {
		if !ed25519.Verify(public, tx.Body(), sig) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkTxBatch reports the time of one transaction in a batch.
func BenchmarkTxBatch(b *testing.B) {
	network := wire.NetworkID{7}
	for _, size := range []int{1, 2, 4, 8, 16, 64, 256} {
		for _, bad := range []int{0, 1} {
			b.Run(fmt.Sprintf("size=%d/bad=%d", size, bad), func(b *testing.B) {
				var txs []*wire.Transaction
				var senders []wire.Address
				for i := range size {
					senders = append(senders, address(byte(i)))
					txs = append(txs, paid(network, byte(i), uint64(i)))
				}
				if bad == 1 {
					txs[size/2] = paid(wire.NetworkID{8}, byte(size/2), 1)
				}
				batch := wire.NewTxBatch(network, size)
				b.ReportAllocs()
				for b.Loop() {
					for i, tx := range txs {
						batch.Add(senders[i], tx)
					}
					batch.Verify()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/tx")
			})
		}
	}
}

func BenchmarkTxRoot(b *testing.B) {
	ids, _ := numbered(4_200)
	for b.Loop() {
		wire.TxRoot(ids)
	}
}

func BenchmarkShortIDs(b *testing.B) {
	ids, _ := numbered(4_200)
	for b.Loop() {
		wire.ShortIDs(wire.Salt{1}, ids)
	}
}
