package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The JSON form. Amounts are decimal strings, since many readers of JSON keep
// numbers in 53 bits; heights and times are numbers and stay below that.
type (
	genesisDoc struct {
		Network       string           `json:"network"`
		AddressPrefix string           `json:"address_prefix"`
		Time          uint64           `json:"time"`
		SlotMillis    uint32           `json:"slot_millis"`
		Allocations   []allocationDoc  `json:"allocations"`
		Producers     []producerSetDoc `json:"producers"`
		Rules         []ruleDoc        `json:"rules"`
		Limits        limitsDoc        `json:"limits"`
	}
	allocationDoc struct {
		Address string `json:"address"`
		Amount  string `json:"amount"`
	}
	producerSetDoc struct {
		Height    uint64   `json:"height"`
		Producers []string `json:"producers"`
	}
	ruleDoc struct {
		Height  uint64 `json:"height"`
		Version uint32 `json:"version"`
	}
	limitsDoc struct {
		MinFeePerByte        string `json:"min_fee_per_byte"`
		MaxTxBytes           uint32 `json:"max_tx_bytes"`
		MaxBlockBytes        uint32 `json:"max_block_bytes"`
		MaxBlockTxs          uint32 `json:"max_block_txs"`
		ClockToleranceMillis uint32 `json:"clock_tolerance_millis"`
	}
)

// maxJSONInteger is the largest integer that every reader of JSON keeps exact.
const maxJSONInteger = 1<<53 - 1

// ParseGenesis reads the JSON form and validates it. Unknown, missing and
// repeated keys are errors that name the key; so is everything that Validate
// reports. Addresses are bech32m with the document's own prefix.
func ParseGenesis(doc []byte) (*Genesis, error) {
	if len(doc) > MaxGenesisJSON {
		return nil, fmt.Errorf("genesis: %d bytes of at most %d: %w", len(doc), MaxGenesisJSON, TooLarge)
	}
	root, err := parseJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	var f faults
	g := readGenesis(jsonField{value: root, faults: &f})
	if err := f.join(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
}

func readGenesis(doc jsonField) *Genesis {
	g := new(Genesis)
	o := doc.object("network", "address_prefix", "time", "slot_millis", "allocations", "producers", "rules", "limits")
	g.Network = o("network").text()
	g.AddressPrefix = o("address_prefix").text()
	g.Time = o("time").integer(maxJSONInteger)
	g.SlotMillis = uint32(o("slot_millis").integer(1<<32 - 1))
	for _, item := range o("allocations").array() {
		a := item.object("address", "amount")
		g.Allocations = append(g.Allocations, Allocation{
			Address: a("address").address(g.AddressPrefix),
			Amount:  a("amount").decimal(),
		})
	}
	for _, item := range o("producers").array() {
		p := item.object("height", "producers")
		set := ProducerSet{Height: p("height").integer(maxJSONInteger)}
		for _, key := range p("producers").array() {
			set.Producers = append(set.Producers, key.address(g.AddressPrefix))
		}
		g.Producers = append(g.Producers, set)
	}
	for _, item := range o("rules").array() {
		r := item.object("height", "version")
		g.Rules = append(g.Rules, RuleChange{
			Height:  r("height").integer(maxJSONInteger),
			Version: uint32(r("version").integer(1<<32 - 1)),
		})
	}
	l := o("limits").object("min_fee_per_byte", "max_tx_bytes", "max_block_bytes", "max_block_txs", "clock_tolerance_millis")
	g.Limits = Limits{
		MinFeePerByte:        l("min_fee_per_byte").decimal(),
		MaxTxBytes:           uint32(l("max_tx_bytes").integer(1<<32 - 1)),
		MaxBlockBytes:        uint32(l("max_block_bytes").integer(1<<32 - 1)),
		MaxBlockTxs:          uint32(l("max_block_txs").integer(1<<32 - 1)),
		ClockToleranceMillis: uint32(l("clock_tolerance_millis").integer(1<<32 - 1)),
	}
	return g
}

// JSON returns the indented JSON form of a valid genesis, ending in a newline.
// ParseGenesis reads it back.
func (g *Genesis) JSON() []byte {
	doc := genesisDoc{
		Network:       g.Network,
		AddressPrefix: g.AddressPrefix,
		Time:          g.Time,
		SlotMillis:    g.SlotMillis,
		Allocations:   []allocationDoc{},
		Producers:     []producerSetDoc{},
		Rules:         []ruleDoc{},
		Limits: limitsDoc{
			MinFeePerByte:        strconv.FormatUint(g.Limits.MinFeePerByte, 10),
			MaxTxBytes:           g.Limits.MaxTxBytes,
			MaxBlockBytes:        g.Limits.MaxBlockBytes,
			MaxBlockTxs:          g.Limits.MaxBlockTxs,
			ClockToleranceMillis: g.Limits.ClockToleranceMillis,
		},
	}
	for _, a := range g.Allocations {
		doc.Allocations = append(doc.Allocations, allocationDoc{a.Address.Encode(g.AddressPrefix), strconv.FormatUint(a.Amount, 10)})
	}
	for _, set := range g.Producers {
		keys := make([]string, len(set.Producers))
		for i, p := range set.Producers {
			keys[i] = p.Encode(g.AddressPrefix)
		}
		doc.Producers = append(doc.Producers, producerSetDoc{set.Height, keys})
	}
	for _, rule := range g.Rules {
		doc.Rules = append(doc.Rules, ruleDoc(rule))
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic("wire: a document of strings and numbers does not marshal: " + err.Error())
	}
	return append(out, '\n')
}
