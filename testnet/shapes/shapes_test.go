package shapes_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

func seed(t *testing.T) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

var network = wire.NetworkID{1, 2, 3}

const expiry = 1_800_000_000_000

func config(t *testing.T, seed uint64) shapes.Config {
	samples, err := shapes.Mainnet()
	require.NoError(t, err)
	return shapes.Config{
		Seed: seed, Samples: samples, Wallets: shapes.Wallets(seed, 300), Network: network, MinFeePerByte: 3, ExpiresAt: expiry,
	}
}

func newLoad(t *testing.T, cfg shapes.Config) *shapes.Load {
	l, err := shapes.New(cfg)
	require.NoError(t, err)
	return l
}

// TestMainnetFacts holds the embedded rows to what data/README.md says.
func TestMainnetFacts(t *testing.T) {
	samples, err := shapes.Mainnet()
	require.NoError(t, err)
	require.Len(t, samples, 2)
	for i, want := range []struct{ rows, bytes, senders, p50, max int }{
		{322, 413_467, 290, 180, 100_029},
		{100, 39_520, 94, 187, 2231},
	} {
		var sizes []int
		total := 0
		for _, r := range samples[i].Rows {
			sizes = append(sizes, r.Size)
			total += r.Size
		}
		slices.Sort(sizes)
		require.Len(t, sizes, want.rows)
		require.Equal(t, want.bytes, total)
		require.Equal(t, want.senders, samples[i].Senders())
		require.Equal(t, want.p50, sizes[(len(sizes)-1)/2])
		require.Equal(t, want.max, sizes[len(sizes)-1])
	}
}

// TestSizes signs a whole pass of every row: each transaction decodes, its
// signature holds, and it has the size of its row unless none that small exists.
func TestSizes(t *testing.T) {
	cfg := config(t, seed(t))
	l := newLoad(t, cfg)
	nonces := make([]uint64, len(cfg.Wallets))
	exact, rows := 0, 0
	for range 1000 {
		d := l.Next()
		tx := l.Sign(d, nonces[d.Wallet])
		nonces[d.Wallet]++

		again, err := wire.DecodeTransaction(tx.Bytes())
		require.NoError(t, err)
		body, err := wire.DecodeTxBody(again.Body())
		require.NoError(t, err)
		require.True(t, wire.VerifyTx(network, body.Sender, again))
		require.Equal(t, shapes.Address(cfg.Wallets[d.Wallet]), body.Sender)
		require.GreaterOrEqual(t, tx.Size(), d.Row.Size)
		require.LessOrEqual(t, tx.Size(), wire.MaxTx)
		require.Equal(t, uint64(tx.Size())*d.Rate, body.Fee)
		rows++
		if tx.Size() == d.Row.Size {
			exact++
		} else {
			require.Less(t, d.Row.Size, 125, "a row this large has a transaction of just its size, got %d", tx.Size())
		}
	}
	t.Logf("%d of %d have exactly their row's size", exact, rows)
	require.Greater(t, exact, rows*9/10)
}

// TestNextSizeAgainstNaive walks every small size, where lengths of lengths
// leave holes, and compares with all transactions that could be made.
func TestNextSizeAgainstNaive(t *testing.T) {
	const largest = 600
	cfg := config(t, 1)
	from := shapes.Address(cfg.Wallets[0])
	for _, nonce := range []uint64{0, 1, 127, 128, 1 << 20} {
		for _, rate := range []uint64{1, 300} {
			possible := func(size int) bool {
				for _, form := range []wire.TxBody{
					{},
					{To: from, Amount: 1},
					{To: from, Amount: 128},
					{To: from, Amount: 1, ExpiresAt: expiry},
					{To: from, Amount: 128, ExpiresAt: expiry},
				} {
					form.Version, form.Sender, form.Nonce, form.Fee = wire.TxVersion, from, nonce, uint64(size)*rate
					for n := range size {
						form.Payload = make([]byte, n)
						if wire.NewTransaction(form.AppendTo(nil), wire.Signature{}).Size() == size {
							return true
						}
					}
				}
				return false
			}
			want := 0 // next possible size, found walking up
			for size := 90; size <= largest; size += 1 + size/200 {
				if want < size {
					for want = size; !possible(want); want++ {
					}
				}
				cfg.Samples = []shapes.Sample{{Name: "one", Rows: []shapes.Row{{Size: size}}}}
				cfg.MinFeePerByte = rate
				l := newLoad(t, cfg)
				require.Equal(t, want, l.Sign(l.Next(), nonce).Size(), "row of %d bytes, nonce %d, rate %d", size, nonce, rate)
			}
		}
	}
}

func TestOneSeedOneLoad(t *testing.T) {
	s := seed(t)
	bytesOf := func(s uint64) (out []string) {
		l := newLoad(t, config(t, s))
		for i := range 500 {
			out = append(out, string(l.Sign(l.Next(), uint64(i)).Bytes()))
		}
		return out
	}
	require.Equal(t, bytesOf(s), bytesOf(s))
	require.NotEqual(t, bytesOf(s), bytesOf(s+1))
}

// TestPassKeepsSendersAndFeeOrder checks, for any seed, what a block's shape
// is: who sends together, and who pays more than whom.
func TestPassKeepsSendersAndFeeOrder(t *testing.T) {
	samples, err := shapes.Mainnet()
	require.NoError(t, err)
	wallets := shapes.Wallets(1, 290)
	rapid.Check(t, func(rt *rapid.T) {
		sample := samples[rapid.IntRange(0, 1).Draw(rt, "sample")]
		l, err := shapes.New(shapes.Config{
			Seed: rapid.Uint64().Draw(rt, "seed"), Samples: []shapes.Sample{sample}, Wallets: wallets,
			MinFeePerByte: rapid.Uint64Range(0, 1000).Draw(rt, "floor"),
		})
		require.NoError(rt, err)
		for range 2 {
			var pass []shapes.Draft
			wallet, sender := map[int]int{}, map[int]int{}
			for _, row := range sample.Rows {
				d := l.Next()
				require.Equal(rt, row, d.Row, "block order")
				if w, ok := wallet[row.Sender]; ok {
					require.Equal(rt, w, d.Wallet, "one sender, two wallets")
				}
				if s, ok := sender[d.Wallet]; ok {
					require.Equal(rt, s, row.Sender, "one wallet, two senders")
				}
				wallet[row.Sender], sender[d.Wallet] = d.Wallet, row.Sender
				pass = append(pass, d)
			}
			slices.SortStableFunc(pass, func(a, b shapes.Draft) int {
				return strings.Compare(fmt.Sprintf("%020d", a.Row.Tip), fmt.Sprintf("%020d", b.Row.Tip))
			})
			for i := 1; i < len(pass); i++ {
				a, b := pass[i-1], pass[i]
				require.Equal(rt, a.Row.Tip < b.Row.Tip, a.Rate < b.Rate)
			}
		}
	})
}

func TestWalletsFollowFromTheSeed(t *testing.T) {
	require.Equal(t, shapes.Wallets(1, 5), shapes.Wallets(1, 7)[:5])
	require.NotEqual(t, shapes.Wallets(1, 1), shapes.Wallets(2, 1))
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	const head = "index,sender,nonce,size_bytes,tip_wei_per_gas\n"
	for text, want := range map[string]string{
		"":                                      "read header: EOF",
		"a,b,c,d,e\n":                           `want ["index"`,
		head + "0,0,1,2\n":                      "record on line 2: wrong number of fields",
		head + "0,0,1,200,7\n1,0,x,200,7\n":     "line 3, column nonce",
		head + "0,0,1,-200,7\n":                 "line 2, column size_bytes",
		head + "1,0,1,200,7\n":                  "line 2: index is 1, want 0",
		head + "0,0,1,200,99999999999999999999": "column tip_wei_per_gas",
	} {
		_, err := shapes.Parse(strings.NewReader(text))
		require.ErrorContains(t, err, want, "%q", text)
	}
}

func TestConfigIsRefused(t *testing.T) {
	cfg := config(t, 1)
	cfg.Wallets = cfg.Wallets[:100]
	_, err := shapes.New(cfg)
	require.ErrorContains(t, err, "290 senders, but there are 100 Wallets")
	cfg.Samples = []shapes.Sample{{Name: "huge", Rows: []shapes.Row{{Size: wire.MaxTx + 1}}}, {Name: "none"}}
	_, err = shapes.New(cfg)
	require.ErrorContains(t, err, "sample huge, row 0: size is")
	require.ErrorContains(t, err, "sample none has no rows")
}

func ExampleNew() {
	samples, err := shapes.Mainnet()
	if err != nil {
		panic(err)
	}
	load, err := shapes.New(shapes.Config{Seed: 1, Samples: samples[1:], Wallets: shapes.Wallets(1, 100), MinFeePerByte: 1})
	if err != nil {
		panic(err)
	}
	for range 3 {
		tx := load.Sign(load.Next(), 0)
		fmt.Println(tx.Size(), "bytes")
	}
	// Output:
	// 2079 bytes
	// 350 bytes
	// 767 bytes
}
