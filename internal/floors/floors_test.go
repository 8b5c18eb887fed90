package floors_test

import (
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/floors"
)

// TestHouse holds the repository to its order.
func TestHouse(t *testing.T) {
	breaches, err := floors.Check(os.DirFS("../.."))
	require.NoError(t, err)
	for _, b := range breaches {
		t.Error(b)
	}
}

const ours = `"github.com/grapevine-p2p/grapevine/`

// TestBreaches shows that each rule can fail.
func TestBreaches(t *testing.T) {
	for name, c := range map[string]struct {
		file, source string
		breach       string // its name; "" for none
	}{
		"upward import":                {"wire/a.go", `import _ ` + ours + `validation"`, "validation"},
		"upward import by a shell":     {"overlay/a.go", `import _ ` + ours + `node/store"`, "node/store"},
		"sideways import":              {"wire/a.go", `import _ ` + ours + `peerscore"`, "peerscore"},
		"downward import":              {"mempool/a.go", `import _ ` + ours + `validation"`, ""},
		"own top-level folder":         {"validation/ledger/a.go", `import _ ` + ours + `validation"`, ""},
		"pure imports a shell":         {"overlay/vine/a.go", `import _ ` + ours + `overlay"`, "overlay"},
		"a shell imports what is pure": {"overlay/a.go", `import _ ` + ours + `overlay/vine"`, ""},
		"import of an unlisted folder": {"node/a.go", `import _ ` + ours + `util"`, "util"},
		"unlisted folder":              {"util/a.go", ``, "util"},
		"unlisted folder, deeper":      {"wire/fast/a.go", ``, "wire/fast"},
		"code at the root":             {"a.go", ``, "."},
		"internal is for all":          {"wire/a.go", `import _ ` + ours + `internal/script"`, ""},
		"internal stands alone":        {"internal/x/a.go", `import _ ` + ours + `wire"`, "wire"},

		"pubsub in overlay":      {"overlay/a.go", `import _ "github.com/libp2p/go-libp2p-pubsub"`, ""},
		"pubsub elsewhere":       {"node/a.go", `import _ "github.com/libp2p/go-libp2p-pubsub"`, "github.com/libp2p/go-libp2p-pubsub"},
		"part of pubsub":         {"node/a.go", `import _ "github.com/libp2p/go-libp2p-pubsub/pb"`, "github.com/libp2p/go-libp2p-pubsub/pb"},
		"testing in production":  {"node/a.go", `import _ "testing"`, "testing"},
		"fstest in production":   {"node/a.go", `import _ "testing/fstest"`, "testing/fstest"},
		"test files are free":    {"wire/a_test.go", `import _ "testing"; func f() { go f() }`, ""},
		"generated code is free": {"wire/wirepb/a.go", `import _ "sync"`, ""},
		"test data is not code":  {"wire/testdata/a.go", `this is not Go`, ""},

		"go statement":              {"mempool/a.go", `func f() { go f() }`, "go"},
		"go statement in a literal": {"mempool/a.go", `var _ = func() { go func() {}() }`, "go"},
		"go statement in a shell":   {"overlay/a.go", `func f() { go f() }`, ""},
		"clock":                     {"peerscore/a.go", `import "time"; var _ = time.Now()`, "time.Now"},
		"clock, renamed":            {"peerscore/a.go", `import t "time"; var _ = t.Now()`, "time.Now"},
		"clock as a value":          {"peerscore/a.go", `import "time"; var now = time.Now`, "time.Now"},
		"clock, hidden by a dot":    {"peerscore/a.go", `import . "time"; var _ = Now()`, "time"},
		"clock in a shell":          {"node/a.go", `import "time"; var _ = time.Now()`, ""},
		"timer":                     {"peerscore/a.go", `import "time"; var _ = time.NewTimer`, "time.NewTimer"},
		"sleep":                     {"peerscore/a.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		"time since":                {"peerscore/a.go", `import "time"; var _ = time.Since`, "time.Since"},
		"time as an argument":       {"peerscore/a.go", `import "time"; func f(t time.Time) int64 { return t.Add(time.Second).Unix() }`, ""},
		"not the package":           {"peerscore/a.go", `type T struct{ Now int }; func f(time T) int { return time.Now }`, ""},
		"deadline of a context":     {"validation/a.go", `import "context"; var _ = context.WithTimeout`, "context.WithTimeout"},
		"context of the caller":     {"validation/a.go", `import "context"; func f(ctx context.Context) error { return ctx.Err() }`, ""},

		"global randomness":    {"wire/a.go", `import "math/rand/v2"; var _ = rand.Uint64()`, "rand.Uint64"},
		"old randomness":       {"wire/a.go", `import "math/rand"; var _ = rand.Intn(3)`, "rand.Intn"},
		"randomness as given":  {"wire/a.go", `import "math/rand/v2"; func f(r *rand.Rand) uint64 { return r.Uint64() }`, ""},
		"randomness from seed": {"wire/a.go", `import "math/rand/v2"; var _ = rand.New(rand.NewPCG(1, 2))`, ""},
		"system randomness":    {"wire/a.go", `import "crypto/rand"; var _ = rand.Reader`, "crypto/rand"},
		"logger":               {"mempool/a.go", `import "log/slog"; var log = slog.Default()`, "log/slog"},
		"old logger":           {"mempool/a.go", `import _ "log"`, "log"},
		"libp2p's logger":      {"mempool/a.go", `import _ "github.com/ipfs/go-log/v2"`, "github.com/ipfs/go-log/v2"},
		"printing":             {"mempool/a.go", `import "fmt"; func f() { fmt.Println() }`, "fmt.Println"},
		"printing by builtin":  {"mempool/a.go", `func f() { println() }`, "println"},
		"formatting":           {"mempool/a.go", `import "fmt"; var _ = fmt.Sprintf("x")`, ""},
		"mutex":                {"mempool/a.go", `import _ "sync"`, "sync"},
		"atomics":              {"mempool/a.go", `import _ "sync/atomic"`, "sync/atomic"},
		"network":              {"peerscore/a.go", `import _ "net/http"`, "net/http"},
		"addresses":            {"peerscore/a.go", `import _ "net/netip"`, ""},
		"libp2p in the core":   {"peerscore/a.go", `import _ "github.com/libp2p/go-libp2p/core/peer"`, "github.com/libp2p/go-libp2p/core/peer"},
		"files":                {"mempool/a.go", `import _ "os"`, "os"},
	} {
		t.Run(name, func(t *testing.T) {
			breaches, err := floors.Check(fstest.MapFS{c.file: {Data: []byte("package a; " + c.source)}})
			require.NoError(t, err)
			if c.breach == "" {
				require.Empty(t, breaches)
				return
			}
			require.Len(t, breaches, 1, "%v", breaches)
			require.Equal(t, c.breach, breaches[0].Name)
		})
	}
}

func TestOtherModulesAreNotOurs(t *testing.T) {
	breaches, err := floors.Check(fstest.MapFS{
		"tools/go.mod": {Data: []byte("module tools")},
		"tools/a.go":   {Data: []byte("package tools")},
	})
	require.NoError(t, err)
	require.Empty(t, breaches)
}

func TestBrokenCodeIsAnError(t *testing.T) {
	_, err := floors.Check(fstest.MapFS{"wire/a.go": {Data: []byte("package")}})
	require.ErrorContains(t, err, "wire/a.go")
}

func ExampleCheck() {
	breaches, err := floors.Check(fstest.MapFS{"mempool/pool.go": {Data: []byte(`package mempool

import "time"

func expired(t time.Time) bool { return t.Before(time.Now()) }
`)}})
	fmt.Println(breaches, err)
	// Output:
	// [mempool/pool.go:5:50: time.Now: brings a clock into a pure package] <nil>
}
