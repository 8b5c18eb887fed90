package scenario_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// small is a scenario that can be run, for tests to spoil.
const small = `description: Small.
nodes: 10
network:
  dials: 4
  latency: {range: [20ms, 150ms]}
`

func TestEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	require.NoError(t, err)
	s, err := scenario.Parse("some/where/full.yaml", text)
	require.NoError(t, err)

	require.Equal(t, "full", s.Name)
	require.Equal(t, "Everything at once.", s.Description)
	require.Equal(t, report.WorldLocal, s.World)
	require.Equal(t, report.RelayGossip, s.Relay)
	require.EqualValues(t, 7, s.Seed)
	require.Equal(t, 40, s.Nodes)
	require.Equal(t, scenario.Network{
		Dials: 8, Transport: "tcp",
		Latency: scenario.Latency{
			Matrix: [][]time.Duration{{time.Millisecond, 20 * time.Millisecond}, {1500 * time.Microsecond, 2 * time.Millisecond}},
			Shares: []float64{0.25, 0.75},
		},
		Classes: []scenario.Class{{Share: 0.2, UpMbps: 1000, DownMbps: 1000}, {Share: 0.8, UpMbps: 10, DownMbps: 50}},
		Loss:    0.01, Reorder: 0.005,
	}, s.Network)
	require.Equal(t, 2*time.Second, s.Start.Wave)
	require.Equal(t, 10*time.Second, s.Settle)
	require.Equal(t, 90*time.Second, s.Drain)
	require.Equal(t, scenario.Txs{PerSecond: 12.5, Size: 1024, For: 12 * time.Second, Origins: 3, Fee: 2}, s.Txs)
	require.Equal(t, scenario.Blocks{Size: 1 << 20, TxSize: 250, Every: 5 * time.Second, Count: 3, Pooled: 0.9, Producers: 4, Slot: time.Second, MaxTxs: 40}, s.Blocks)
	require.Equal(t, scenario.Mempool{MaxTxs: 1000}, s.Mempool)
	require.Equal(t, []scenario.Churn{{From: time.Second, To: 3 * time.Second, Share: 0.5, Down: 4 * time.Second}, {To: time.Minute, PerMinute: 0.3, Down: time.Second}}, s.Churn)
	require.Equal(t, []scenario.Partition{{From: 5 * time.Second, To: 9 * time.Second, Groups: []float64{0.5, 0.5}}}, s.Partitions)
	require.Equal(t, []scenario.Attacker{{Kind: "control-flood", Count: 2, From: time.Second, To: 2 * time.Second, Params: map[string]string{"message": "ihave", "per_second": "50"}}}, s.Attackers)
	require.InDelta(t, 0.05, s.Silent, 1e-12)
	require.Equal(t, 76*time.Microsecond, s.VerifyCost)
	require.Equal(t, []scenario.Expect{
		{Condition: report.Condition{Field: "tx.delivery_ratio", Op: "==", Value: 1}},
		{Condition: report.Condition{Field: "tx.latency_ms.p99", Op: "<=", Value: 2.2, Times: true, Of: "floor_ms.p99"}, KnownGap: "nothing repairs yet"},
	}, s.Expect)
	require.Equal(t, time.Minute+time.Second, s.LoadFor())
	require.Equal(t, 20, s.Churn[0].Restarts(s.Nodes))
	require.Equal(t, 12, s.Churn[1].Restarts(s.Nodes))
	require.Equal(t, 2, s.Attacking())

	// The file above must not fall behind the keys that exist.
	for _, key := range scenario.Keys() {
		name := key[strings.LastIndexByte(key, '.')+1:]
		switch key {
		case "txs.shapes", "network.mbps", "network.latency.range", "network.latency.preset", "attackers.0.share":
		default:
			require.Contains(t, string(text), name+":", "testdata/full.yaml lacks %s", key)
		}
	}
}

func TestDefaults(t *testing.T) {
	s, err := scenario.Parse("small.yaml", []byte(small))
	require.NoError(t, err)
	require.Equal(t, report.WorldSim, s.World)
	require.Equal(t, report.RelayGossip, s.Relay)
	require.NotZero(t, s.Seed)
	require.Positive(t, s.Settle)
	require.Positive(t, s.Drain)
	require.Equal(t, []scenario.Class{{Share: 1}}, s.Network.Lines())
}

// TestEveryKeyIsDocumented: what a file may say, docs/scenarios.md explains.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenarios.md")
	require.NoError(t, err)
	for _, key := range scenario.Keys() {
		require.Contains(t, string(text), "`"+key+"`")
	}
	for _, preset := range scenario.Presets() {
		require.Contains(t, string(text), "`"+preset+"`")
	}
	_, sample, _ := strings.Cut(string(text), "```yaml\n")
	sample, _, _ = strings.Cut(sample, "```")
	_, err = scenario.Parse("docs/scenarios.md", []byte(sample))
	require.NoError(t, err)
}

// TestScenarioTravels: a world may run in another process.
func TestScenarioTravels(t *testing.T) {
	for _, info := range shipped(t) {
		s, err := scenario.Load(info.Name)
		require.NoError(t, err)
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var back scenario.Scenario
		require.NoError(t, json.Unmarshal(text, &back))
		again, err := json.Marshal(&back)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
		require.NoError(t, back.Validate())
	}
}

func shipped(t *testing.T) []scenario.Info {
	infos, err := scenario.Shipped()
	require.NoError(t, err)
	return infos
}

// TestShipped: every file in the folder parses, validates, is listed and says
// what it is for and what it expects.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob("../scenarios/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	infos := shipped(t)
	require.Len(t, infos, len(files))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		require.True(t, slices.ContainsFunc(infos, func(i scenario.Info) bool { return i.Name == name }), "%s is not listed", name)
		s, err := scenario.Load(file)
		require.NoError(t, err)
		require.NotEmpty(t, s.Expect, "%s expects nothing", file)
		require.Greater(t, len(s.Description), 30, "%s does not say what it shows", file)
	}
}

func TestSyntaxAndKeys(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"empty":          {"", []string{"x.yaml: the file is empty"}},
		"only a mark":    {"\xff\xfe", []string{"x.yaml: the file holds a byte-order mark and nothing else"}},
		"another mark":   {"\xef\xbb\xbf\n", []string{"x.yaml: the file holds a byte-order mark and nothing else"}},
		"only a comment": {"# nothing\n", []string{"x.yaml: the file is empty"}},
		"not a mapping":  {"- 1\n", []string{"x.yaml:1: the file is a list"}},
		"scalar":         {"hello\n", []string{`x.yaml:1: the file is "hello"`}},
		"tab":            {"nodes: 1\n\tdials: 2\n", []string{"x.yaml:2: not YAML: "}},
		"two documents":  {small + "---\nnodes: 2\n", []string{"x.yaml:6: a second document begins"}},
		"unknown key":    {small + "sedd: 3\n", []string{"x.yaml:6: unknown key sedd; the nearest known one is seed"}},
		"unknown nested": {small + "txs:\n  per_secnd: 3\n", []string{"x.yaml:7: unknown key txs.per_secnd; the nearest known one is txs.per_second"}},
		"elsewhere":      {small + "dials: 3\n", []string{"x.yaml:6: unknown key dials; the nearest known one is network.dials"}},
		"in a list":      {small + "churn:\n- frm: 3s\n", []string{"x.yaml:7: unknown key churn.0.frm; the nearest known one is churn.0.from"}},
		"twice":          {small + "nodes: 3\n", []string{"x.yaml:6: nodes is there twice, first on line 2"}},
		"escapes":        {small + "\"s\\e]0;x\\a\": 3\n", []string{`x.yaml:6: unknown key s\x1b]0;x\a; the nearest`}},
		"escaped param":  {small + "attackers:\n- {kind: silent, count: 1, params: {\"\\e[2J\": [1]}}\n", []string{`attackers.0.params.\x1b[2J is a list`}},
		"core size":      {small + "world: core\ntxs: {per_second: 1, for: 1s,\n  size: 128KiB}\n", []string{"x.yaml:8: txs.size is 131072, want 160 to 131064 in world core"}},
		"local size":     {small + "world: local\ntxs: {per_second: 1, for: 1s, size: 131065}\n", []string{"x.yaml:7: txs.size is 131065, want 160 to 131064 in world local"}},
		"core cost":      {small + "world: core\nverify_cost: 1ms\n", []string{"x.yaml:7: verify_cost is set, which world sim alone knows"}},
		"alias":          {"nodes: &n 5\nseed: *n\n", []string{"x.yaml:1: anchors and aliases are not understood"}},
		"merge":          {"network: &n {dials: 4}\nstart:\n  <<: *n\n", []string{"anchors and aliases"}},
		"deep":           {strings.Repeat("[", 40) + strings.Repeat("]", 40), []string{"nested too deep"}},
		"no unit":        {small + "settle: 5\n", []string{`x.yaml:6: settle is "5", want a unit as well: 5ms or 5s`}},
		"strange unit":   {small + "settle: 5 days\n", []string{`x.yaml:6: settle is "5 days", want a time with its unit`}},
		"bytes":          {small + "txs: {size: 1 KB}\n", []string{`x.yaml:6: txs.size is "1 KB", want a number of bytes`}},
		"too many bytes": {small + "txs: {size: 4096MiB}\n", []string{"want at most 2 GiB"}},
		"share":          {small + "silent: lots\n", []string{`x.yaml:6: silent is "lots", want a share, such as 0.2 or 20%`}},
		"nan":            {small + "silent: .nan\nnetwork.loss: 1\n", []string{"x.yaml:6: silent is", "x.yaml:7: unknown key network.loss"}},
		"fraction":       {"nodes: 1.5\n", []string{`nodes is "1.5", want a whole number`}},
		"huge":           {"nodes: 99999999999999999999\n", []string{"want a whole number"}},
		"negative seed":  {small + "seed: -1\n", []string{"want a whole number that is not negative"}},
		"list for one":   {small + "seed: [1]\n", []string{"x.yaml:6: seed is a list, want one value"}},
		"one for list":   {small + "churn: 1\n", []string{`churn is "1", want a list`}},
		"one for struct": {small + "txs: fast\n", []string{`txs is "fast", want keys and values`}},
		"null":           {small + "seed:\n", []string{"x.yaml:6: seed has no value"}},
		"range of three": {small + "partitions:\n- {from: 1s, to: 2s, groups: [0.5, 0.5]}\nnetwork2: {}\n", []string{"unknown key network2"}},
		"range length":   {"network: {latency: {range: [1ms, 2ms, 3ms]}}\n", []string{"network.latency.range has 3 values, want 2"}},
		"condition":      {small + "expect:\n- tx.latency is low\n", []string{"x.yaml:7: expect.0 is wrong:", "is no condition"}},
		"no figure":      {small + "expect:\n- tx.p99 < 3\n", []string{`no report has a figure "tx.p99"`, "tx.latency_ms.p99"}},
		"gap":            {small + "expect:\n- {condition: nodes == 10, known_gap: }\n", []string{"known_gap is", "want the reason"}},
		"gap key":        {small + "expect:\n- {check: nodes == 10}\n", []string{"unknown key expect.0.check"}},
		"param":          {small + "attackers:\n- {kind: silent, count: 1, params: {a: [1]}}\n", []string{"attackers.0.params.a is a list"}},
		"binary":         {"\x00\x01", []string{"x.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scenario.Parse("x.yaml", []byte(test.text))
			require.Error(t, err)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, "x.yaml"), "no place: %s", line)
			}
		})
	}
}

// TestLargestTransaction: world sim makes transactions of the protocol's bound.
func TestLargestTransaction(t *testing.T) {
	_, err := scenario.Parse("x.yaml", []byte(small+"txs: {per_second: 1, for: 1s, size: 128KiB}\n"))
	require.NoError(t, err)
}

func TestTooLong(t *testing.T) {
	_, err := scenario.Parse("x.yaml", make([]byte, scenario.MaxFile+1))
	require.ErrorContains(t, err, "want at most")
}

// TestImpossible spoils one thing at a time, as --set would.
func TestImpossible(t *testing.T) {
	for setting, want := range map[string]string{
		"nodes=1":                        "nodes is 1, want 2 to",
		"network.dials=10":               "network.dials is 10, want < nodes=10",
		"network.dials=0":                "network.dials is 0, want at least 1",
		"network.bootstrap=10":           "network.bootstrap is 10, want 0 to less than nodes=10",
		"world=moon":                     `world is "moon", want sim, core, local; the nearest is`,
		"relay=vine":                     `relay is "vine", want gossip, stock, stock-tuned; the nearest is`,
		"relay=stok":                     "the nearest is stock",
		"seed=9007199254740992":          "seed is 9007199254740992",
		"description=' '":                "description is missing",
		"settle=-1s":                     "settle is -1s",
		"drain=25h":                      "drain is 25h",
		"silent=1":                       "silent is 1",
		"network.loss=100%":              "network.loss is 1",
		"network.reorder=-0.1":           "network.reorder is -0.1",
		"network.latency.range=[2s, 1s]": "network.latency.range is 2s to 1s, which is empty",
		"network.latency={range: [1s, 2s], preset: aws-8}":               "network.latency is given as range and preset, want one of them",
		"network.latency={preset: aws-9}":                                "the nearest is aws-8",
		"network.latency={}":                                             "network.latency is missing",
		"network.latency={matrix: [[1, 2], [3]]}":                        "network.latency.matrix.1 is 1 values, want 2",
		"network.latency={matrix: [[1, 2], [3, -4]]}":                    "network.latency.matrix.1 is a row with -4ms",
		"network.latency={matrix: [[1, 2], [3, 4]], shares: [1]}":        "network.latency.shares is 1 values for 2 regions",
		"network.latency={matrix: [[1, 2], [3, 4]], shares: [50%, 60%]}": "network.latency.shares is shares that add up to 1.1",
		"network.latency={range: [1ms, 2ms], shares: [1]}":               "network.latency.shares is given without regions",
		"network.mbps=-1":        "network.mbps is -1",
		"network.mbps=0.0000001": "network.mbps is 1e-07, want 0 (without bound), or 0.01 to",
		"verify_cost=1h":         "verify_cost is 1h0m0s, want 0 to 1s, or measured",
		"network.classes=[{share: 0.5, up_mbps: 10, down_mbps: 10}]":       "network.classes is shares that add up to 0.5",
		"network.classes=[{share: 2}, {share: -1}]":                        "network.classes.0.share is 2, want more than 0",
		"txs={per_second: 5, for: 2s}":                                     "txs is without a size",
		"txs={per_second: 5, size: 250}":                                   "txs.for is 0s, want how long",
		"txs={per_second: 5, size: 250, shapes: mainnet, for: 1s}":         "txs.size is 250 beside txs.shapes",
		"txs={per_second: 5, size: 10, for: 1s}":                           "txs.size is 10, want",
		"txs={per_second: 5, size: 1MiB, for: 1s}":                         "txs.size is 1048576",
		"txs={per_second: 5, shapes: testnet, for: 1s}":                    "the nearest is mainnet",
		"txs.per_second=-1":                                                "txs.per_second is -1",
		"txs.origins=11":                                                   "txs.origins is 11",
		"blocks.count=2":                                                   "blocks.every is 0s",
		"blocks={count: 1, every: 1s, size: 100, tx_size: 250}":            "blocks.tx_size is 250, want at most blocks.size=100",
		"blocks={count: 1, every: 1s, size: 5MiB, tx_size: 250}":           "blocks.size is 5242880",
		"blocks.producers=3":                                               "blocks.slot is 0s, want the length",
		"blocks={count: 2, every: 5s, slot: 2s, size: 1000, tx_size: 250}": "blocks.every is 5s, want a multiple of blocks.slot=2s",
		"blocks={producers: 2, every: 5s, slot: 1s}":                       "blocks.every is 5s without blocks.count",
		"blocks={producers: 2, slot: 1s, max_txs: 10}":                     "blocks.max_txs is 10, which world local alone knows",
		"txs={per_second: 5, size: 250, for: 1s, fee: 2}":                  "txs.fee is 2, which world local alone knows",
		"txs={per_second: 5, size: 250, for: 1s, from: -1s}":               "txs.from is -1s, want 0 to",
		"txs.from=1s": "txs.from is 1s without txs.per_second",
		"blocks={producers: 2, slot: 1s, from: 5s}":                                         "blocks.from is 5s without blocks.count",
		"blocks={count: 1, every: 2s, size: 1000, tx_size: 250, from: 5s}":                  "blocks.from is 5s, want a multiple of blocks.every=2s",
		"network.transport=tcp":                                                             "network.transport is tcp, which world local alone asks for",
		"network.transport=udp":                                                             "the nearest is",
		"mempool.max_txs=-1":                                                                "mempool.max_txs is -1, want 0 to",
		"blocks.pooled=1.5":                                                                 "blocks.pooled is 1.5",
		"churn=[{from: 2s, to: 1s, share: 0.5, down: 1s}]":                                  "churn.0.to is 1s, want after from=2s",
		"churn=[{to: 1s, share: 0.5, per_minute: 1, down: 1s}]":                             "want one of them more than 0",
		"churn=[{to: 1s, per_minute: 2, down: 30s}]":                                        "every node would be away at once",
		"partitions=[{from: 1s, to: 2s, groups: [1]}]":                                      "partitions.0.groups is 1 groups, want at least 2",
		"partitions=[{from: 1s, to: 2s, groups: [0.99, 0.01]}]":                             "nobody of nodes=10",
		"partitions=[{from: 1s, to: 2s, groups: [0.5, 0.4]}]":                               "add up to 0.9",
		"partitions=[{to: 3s, groups: [0.5, 0.5]}, {from: 2s, to: 5s, groups: [0.5, 0.5]}]": "partitions.1.from is 2s, before",
		"attackers=[{kind: spamer, count: 1}]":                                              "the nearest is spammer",
		"attackers=[{kind: spammer, count: 10}]":                                            "attackers is such that 10 nodes are dishonest, want at least 2 honest",
		"attackers=[{kind: spammer}]":                                                       "attackers.0 is given with share=0 and count=0",
		"attackers=[{kind: spammer, share: 0.01}]":                                          "attackers.0.share is 0.01, which is nobody",
		"attackers=[{kind: spammer, count: 1, from: 2s, to: 1s}]":                           "attackers.0.to is 1s",
		"expect=[tx.latency_ms.p99 > 1.1x]":                                                 "want the figure that is multiplied",
	} {
		t.Run(setting, func(t *testing.T) {
			s, err := scenario.Parse("x.yaml", []byte(small))
			require.NoError(t, err)
			require.NoError(t, s.Set(setting))
			err = s.Validate()
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, "--set "+setting+": ", "the place")
		})
	}
}

// TestAllAtOnce: a file with many faults is told all of them, in order.
func TestAllAtOnce(t *testing.T) {
	_, err := scenario.Parse("dir/bad.yaml", []byte(`description: Bad.
nodes: 20
world: simm
network:
  dials: 20
  latency: {range: [150ms, 20ms]}
silent: 2
txs:
  per_second: 10
  for: 5s
`))
	require.Equal(t, []string{
		"dir/bad.yaml:3: world", "dir/bad.yaml:5: network.dials", "dir/bad.yaml:6: network.latency.range",
		"dir/bad.yaml:7: silent", "dir/bad.yaml:9: txs",
	}, toldOf(err))

	// What was not understood does not hide what is impossible.
	_, err = scenario.Parse("dir/bad.yaml", []byte(`description: Bad.
nodes: 20
nodez: 20
network:
  dials: 20
  latency: {range: [150ms, 20ms]}
  mbps: -5
silent: 110%
txs: {per_second: 10, size: 250, for: 10}
attackers:
- {kind: spamer, count: 1}
expect:
- tx.p99 < 3
- tx.latency_ms.p99 > 1.1x
`))
	require.Equal(t, []string{
		"dir/bad.yaml:3: unknown", "dir/bad.yaml:5: network.dials", "dir/bad.yaml:6: network.latency.range", "dir/bad.yaml:7: network.mbps",
		"dir/bad.yaml:8: silent", "dir/bad.yaml:9: txs.for", "dir/bad.yaml:11: attackers.0.kind", "dir/bad.yaml:13: expect.0", "dir/bad.yaml:14: expect.1",
	}, toldOf(err))
}

// toldOf is the place and the first word of each line of err.
func toldOf(err error) []string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, strings.Join(strings.SplitN(line, " ", 3)[:2], " "))
	}
	return lines
}

// TestNothingFollows: a value that is wrong is told once, and not what would
// be wrong with others if it were what a reader makes of it.
func TestNothingFollows(t *testing.T) {
	const network = "description: Small.\nnetwork: {dials: 4, latency: {range: [20ms, 150ms]}, bootstrap: 2}\n"
	for name, test := range map[string]struct{ text, want string }{
		"nodes misspelt":   {network + "nodez: 20\nsilent: 20%\ntxs: {per_second: 5, size: 250, for: 1s, origins: 3}\n", "x.yaml:3: unknown"},
		"nodes no number":  {network + "nodes: many\nattackers: [{kind: silent, share: 20%, links: 1}]\n", "x.yaml:3: nodes"},
		"too few nodes":    {network + "nodes: 1\npartitions: [{from: 1s, to: 2s, groups: [50%, 50%]}]\n", "x.yaml:3: nodes"},
		"no such world":    {small + "world: simm\nmembers: true\ntxs: {per_second: 5, size: 128KiB, for: 1s}\n", "x.yaml:6: world"},
		"no network":       {"description: Small.\nnodes: 10\nnetwork: fast\n", "x.yaml:3: network"},
		"no file":          {"- 1\n", "x.yaml:1: the"},
		"latency misspelt": {"description: Small.\nnodes: 10\nnetwork: {dials: 4, latency: {rnge: [1ms, 2ms]}}\n", "x.yaml:3: unknown"},
		"no such preset":   {"description: Small.\nnodes: 10\nnetwork: {dials: 4, latency: {preset: aws-9, shares: [1]}}\n", "x.yaml:3: network.latency.preset"},
		"size of no bytes": {small + "txs: {per_second: 5, size: big, for: 1s}\n", "x.yaml:6: txs.size"},
		"negative time":    {small + "txs: {per_second: 5, size: 250, for: -1s}\n", "x.yaml:6: txs.for"},
		"share of a class": {"description: Small.\nnodes: 10\nnetwork: {dials: 4, latency: {range: [1ms, 2ms]}, classes: [{share: half}, {share: 50%}]}\n", "x.yaml:3: network.classes.0.share"},
		"count of blocks":  {small + "blocks: {count: some, every: 1s, size: 1000, tx_size: 250, producers: 2}\n", "x.yaml:6: blocks.count"},
		"end of one":       {small + "partitions:\n- {from: 1s, to: soon, groups: [50%, 50%]}\n- {from: 2s, to: 3s, groups: [50%, 50%]}\n", "x.yaml:7: partitions.0.to"},
		"beginning":        {small + "churn: [{from: later, to: 2s, share: 1, down: 1s}]\n", "x.yaml:6: churn.0.from"},
		"how many attack":  {small + "attackers: [{kind: silent, share: 200%}]\ntxs: {per_second: 5, size: 250, for: 1s, origins: 3}\n", "x.yaml:6: attackers.0.share"},
		"whole expect":     {small + "expect:\n- {check: nodes == 10}\n", "x.yaml:7: unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scenario.Parse("x.yaml", []byte(test.text))
			require.Error(t, err)
			require.Equal(t, []string{test.want}, toldOf(err), err.Error())
		})
	}
}

func TestSet(t *testing.T) {
	s, err := scenario.Parse("x.yaml", []byte(small+"churn:\n- {to: 1s, share: 10%, down: 1s}\n"))
	require.NoError(t, err)
	for _, setting := range []string{"nodes=50", "network.dials = 8", "churn.0.down=2s", "txs.per_second=3", "txs.size=1KiB", "txs.for=5s", "nodes=60"} {
		require.NoError(t, s.Set(setting), setting)
	}
	require.NoError(t, s.Validate())
	require.Equal(t, 60, s.Nodes)
	require.Equal(t, 8, s.Network.Dials)
	require.Equal(t, 2*time.Second, s.Churn[0].Down)
	require.Equal(t, scenario.Txs{PerSecond: 3, Size: 1024, For: 5 * time.Second}, s.Txs)

	require.NoError(t, s.Set("network.latency.preset=aws-8"), "it takes the place of the range")
	require.NoError(t, s.Validate())
	require.NoError(t, s.Set("network.latency.range=[1ms, 2ms]"))
	require.NoError(t, s.Validate())
	require.Empty(t, s.Network.Latency.Preset)

	before := *s
	for setting, want := range map[string]string{
		"nodes":                 "want KEY=VALUE",
		"=5":                    "want KEY=VALUE",
		"nodes=":                "no value behind =",
		"nodes=# five":          "no value behind =",
		"nodes=[":               "not YAML",
		"nodes=many":            `--set nodes=many: nodes is "many", want a whole number`,
		"nodez=5":               "--set nodez=5: unknown key nodez; the nearest known one is nodes",
		"nodes.more=5":          `nodes is one value, and has no "more"`,
		"churn.1.down=5s":       `churn has 1 items, counted from 0; there is no "1"`,
		"network.latency.x.y=1": "unknown key network.latency.x",
		"network=5":             `network is "5", want keys and values`,
		"seed=*a":               "the value",
	} {
		err := s.Set(setting)
		require.ErrorContains(t, err, want, setting)
		require.Equal(t, before, *s, "a failed setting changed something")
	}
}

func TestLoad(t *testing.T) {
	_, err := scenario.Load("smokee")
	require.ErrorIs(t, err, scenario.ErrUnknown)
	require.ErrorContains(t, err, "the nearest shipped one is smoke")
	_, err = scenario.Load("gone/away.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = scenario.Load(t.TempDir() + "/") // a folder
	require.ErrorContains(t, err, "read scenario")

	file := filepath.Join(t.TempDir(), "own.yaml")
	require.NoError(t, os.WriteFile(file, []byte(small), 0o600))
	s, err := scenario.Load(file)
	require.NoError(t, err)
	require.Equal(t, "own", s.Name)
}

func TestRegions(t *testing.T) {
	for _, name := range scenario.Presets() {
		r, ok := scenario.Latency{Preset: name}.Regions()
		require.True(t, ok)
		require.Len(t, r.Names, len(r.OneWay))
		require.Len(t, r.Shares, len(r.OneWay))
		sum, counts := 0.0, make([]int, len(r.OneWay))
		for i, row := range r.OneWay {
			sum += r.Shares[i]
			require.Len(t, row, len(r.OneWay))
			for j, d := range row {
				require.Positive(t, d)
				require.LessOrEqual(t, d, 400*time.Millisecond)
				require.Equal(t, d, r.OneWay[j][i])
			}
		}
		require.InDelta(t, 1, sum, 1e-9)
		const n = 1000
		for i := range n {
			counts[r.Of(i, n)]++
		}
		for i, c := range counts {
			require.InDelta(t, r.Shares[i]*n, c, 1, "%s region %d", name, i)
		}
	}
	r, ok := scenario.Latency{Matrix: make([][]time.Duration, 7)}.Regions()
	require.True(t, ok)
	for i := range 7 {
		require.Equal(t, i, r.Of(i, 7), "a matrix with a row for each node")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	files, _ := filepath.Glob("../scenarios/*.yaml")
	for _, file := range append(files, "testdata/full.yaml") {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scenario.Parse("x.yaml", []byte(text))
		if err == nil {
			require.NoError(t, s.Validate())
			require.Less(t, s.Attacking(), s.Nodes)
			require.NoError(t, s.Set("nodes="+fmt.Sprint(s.Nodes)))
			return
		}
		if !strings.Contains(err.Error(), "x.yaml") {
			t.Fatalf("no place in %q", err)
		}
	})
}

func ExampleParse() {
	_, err := scenario.Parse("scenarios/mine.yaml", []byte(`
description: Twenty nodes on slow lines.
nodes: 20
network:
  dials: 20
  latency: {range: [20ms, 150ms]}
  mpbs: 5
`))
	fmt.Println(err)
	// Output:
	// scenarios/mine.yaml:5: network.dials is 20, want < nodes=20: a node dials others, each once
	// scenarios/mine.yaml:7: unknown key network.mpbs; the nearest known one is network.mbps
}

// Two loads overlap from when the later one begins until the earlier one ends, in a run that
// also has a time of one load alone.
func TestOverlap(t *testing.T) {
	txs := scenario.Txs{PerSecond: 1, Size: 250, From: 3 * time.Second, For: 10 * time.Second}
	blocks := scenario.Blocks{Size: 1000, TxSize: 250, Every: 2 * time.Second, Count: 4}
	late := blocks
	late.From = 12 * time.Second
	for name, c := range map[string]struct {
		txs      scenario.Txs
		blocks   scenario.Blocks
		from, to time.Duration // of the overlap; none where equal
		load     time.Duration
	}{
		"transactions later":  {txs, blocks, 3 * time.Second, 8 * time.Second, 13 * time.Second},
		"blocks later":        {scenario.Txs{PerSecond: 1, For: 15 * time.Second}, late, 12 * time.Second, 15 * time.Second, 20 * time.Second},
		"both from the first": {scenario.Txs{PerSecond: 1, For: 15 * time.Second}, blocks, 0, 0, 15 * time.Second},
		"one after the other": {scenario.Txs{PerSecond: 1, For: 12 * time.Second}, late, 0, 0, 20 * time.Second},
		"no blocks":           {txs, scenario.Blocks{}, 0, 0, 13 * time.Second},
		"no transactions":     {scenario.Txs{}, late, 0, 0, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scenario.Scenario{Txs: c.txs, Blocks: c.blocks}
			require.Equal(t, c.load, s.LoadFor())
			from, to, ok := s.Overlap()
			require.Equal(t, c.from != c.to, ok)
			if ok {
				require.Equal(t, []time.Duration{c.from, c.to}, []time.Duration{from, to})
			}
		})
	}
}
