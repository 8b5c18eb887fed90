package floors

// module is the path of this module.
const module = "github.com/grapevine-p2p/grapevine"

// kind says what a folder's code may do.
type kind uint8

const (
	shell     kind = iota // moves bytes, runs goroutines
	pure                  // a function of its arguments
	generated             // pure by construction; not read
)

// place is where a folder stands.
type place struct {
	floor int
	kind  kind
}

// house is the table of DESIGN section 1. Folders that are not built yet stand
// here already; a folder that does not stand here may not have Go code.
var house = map[string]place{
	"wire":        {0, pure},
	"wire/wirepb": {0, generated},
	"peerscore":   {0, pure},

	"validation":        {1, pure},
	"validation/ledger": {1, pure},
	"validation/remote": {1, shell},

	"mempool": {2, pure},

	"overlay":         {3, shell},
	"overlay/vine":    {3, pure},
	"overlay/recon":   {3, pure},
	"overlay/compact": {3, pure},
	"overlay/member":  {3, pure},
	"overlay/dial":    {3, pure},
	"overlay/catchup": {3, pure},
	"overlay/fetch":   {3, pure},
	"overlay/stem":    {3, pure},

	"node":           {4, shell},
	"node/config":    {4, shell},
	"node/keyfile":   {4, shell},
	"node/store":     {4, shell},
	"node/api":       {4, shell},
	"node/dashboard": {4, shell},

	"testnet":           {5, shell},
	"testnet/attack":    {5, shell},
	"testnet/core":      {5, pure},
	"testnet/local":     {5, shell},
	"testnet/page":      {5, shell},
	"testnet/report":    {5, shell},
	"testnet/scenario":  {5, shell},
	"testnet/scenarios": {5, shell},
	"testnet/shapes":    {5, pure},
	"testnet/sim":       {5, shell},
	"testnet/stock":     {5, shell},

	"cmd/grapevine": {6, shell},
}

// reserved are imports (by prefix) that only the folders listed may have.
var reserved = map[string][]string{
	"github.com/libp2p/go-libp2p-pubsub": {"overlay", "testnet/attack", "testnet/stock"},
	"testing":                            {},
}

// forbidden are imports (by path or its folder) that a pure folder may not
// have, with what they would bring in.
var forbidden = map[string]string{
	"crypto/rand":              "randomness of its own",
	"github.com/ipfs/go-log":   "a logger",
	"github.com/libp2p":        "the network",
	"go.opentelemetry.io/otel": "a tracer",
	"go.uber.org/zap":          "a logger",
	"golang.org/x/sync":        "goroutines",
	"log":                      "a logger",
	"net":                      "the network",
	"os":                       "the machine",
	"sync":                     "shared memory",
	"syscall":                  "the machine",
}

// harmless are imports under a forbidden folder that are arithmetic only.
var harmless = map[string]bool{
	"net/netip": true,
}

// impure are functions, by import path, that a pure folder may not even
// mention: as a value they do the same harm later.
var impure = map[string]map[string]string{
	"time": {
		"Now": clock, "Since": clock, "Until": clock, "After": clock, "AfterFunc": clock,
		"Sleep": clock, "Tick": clock, "NewTimer": clock, "NewTicker": clock,
	},
	"context": {
		"WithTimeout": clock, "WithTimeoutCause": clock, "WithDeadline": clock,
		"WithDeadlineCause": clock, "AfterFunc": "a goroutine",
	},
	"fmt": {"Print": output, "Printf": output, "Println": output},
}

const (
	clock  = "a clock"
	output = "standard output"
)

// seeded are the functions of math/rand packages that take their seed from
// the caller; all others draw from the global source.
var seeded = map[string]bool{
	"New": true, "NewSource": true, "NewPCG": true, "NewChaCha8": true, "NewZipf": true,
	// types
	"Rand": true, "Source": true, "Source64": true, "PCG": true, "ChaCha8": true, "Zipf": true,
}

// excused are breaches that were decided upon: folder, then what the breach
// names, then why.
var excused = map[string]map[string]string{
	"testnet/core": {
		"testnet/report":   "its types and their arithmetic; it writes to an io.Writer of the caller",
		"testnet/scenario": "its types and their arithmetic; only Load, which core does not call, reads files",
	},
	"testnet/sim": {
		"testing":          "testing.Main is the only way to the *testing.T that synctest.Test needs; bubble.go does it, in a process of its own",
		"testing/synctest": "virtual time; bubble.go, as above",
	},
}
