package wire

// AppendTo appends the canonical form, whose hash is the network id.
func (g *Genesis) AppendTo(dst []byte) []byte {
	dst = appendBytes(dst, 1, []byte(g.Network))
	dst = appendBytes(dst, 2, []byte(g.AddressPrefix))
	dst = appendUint(dst, 3, g.Time)
	dst = appendUint(dst, 4, uint64(g.SlotMillis))
	var nested []byte
	for i := range g.Allocations {
		nested = appendAlways(nested[:0], 1, g.Allocations[i].Address[:])
		nested = appendUint(nested, 2, g.Allocations[i].Amount)
		dst = appendAlways(dst, 5, nested)
	}
	for i := range g.Producers {
		nested = appendUint(nested[:0], 1, g.Producers[i].Height)
		for j := range g.Producers[i].Producers {
			nested = appendAlways(nested, 2, g.Producers[i].Producers[j][:])
		}
		dst = appendAlways(dst, 6, nested)
	}
	for _, rule := range g.Rules {
		nested = appendUint(nested[:0], 1, rule.Height)
		nested = appendUint(nested, 2, uint64(rule.Version))
		dst = appendAlways(dst, 7, nested)
	}
	nested = appendUint(nested[:0], 1, g.Limits.MinFeePerByte)
	nested = appendUint(nested, 2, uint64(g.Limits.MaxTxBytes))
	nested = appendUint(nested, 3, uint64(g.Limits.MaxBlockBytes))
	nested = appendUint(nested, 4, uint64(g.Limits.MaxBlockTxs))
	nested = appendUint(nested, 5, uint64(g.Limits.ClockToleranceMillis))
	return appendBytes(dst, 8, nested)
}

// DecodeGenesis is the strict inverse of AppendTo. It does not validate.
func DecodeGenesis(b []byte) (*Genesis, error) {
	g := new(Genesis)
	r := canonicalReader("genesis", b, MaxGenesis)
	for r.next() {
		switch r.num {
		case 1:
			g.Network = r.text("network", MaxNetworkName)
		case 2:
			g.AddressPrefix = r.text("address_prefix", MaxAddressPrefix)
		case 3:
			g.Time = r.uint64("time")
		case 4:
			g.SlotMillis = r.uint32("slot_millis")
		case 5:
			g.decodeAllocation(&r)
		case 6:
			g.decodeProducerSet(&r)
		case 7:
			g.decodeRule(&r)
		case 8:
			g.Limits.decode(&r, r.bytes("limits", MaxGenesis))
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return g, nil
}

// minAllocation is the size of an address with tag and length. Entries of a
// producer set and of rules may be smaller, but their numbers are small.
const minAllocation = 2 + 32

func (g *Genesis) decodeAllocation(outer *reader) {
	b := outer.element("allocations", len(g.Allocations), MaxAllocations, minAllocation, MaxGenesis)
	if outer.err != nil {
		return
	}
	var a Allocation
	r := canonicalReader("allocation", b, MaxGenesis)
	for r.next() {
		switch r.num {
		case 1:
			r.fixed("address", a.Address[:])
		case 2:
			a.Amount = r.uint64("amount")
		default:
			r.skip()
		}
	}
	r.require(1, "address")
	if r.err != nil {
		outer.fail("allocations", r.err)
		return
	}
	g.Allocations = append(g.Allocations, a)
}

func (g *Genesis) decodeProducerSet(outer *reader) {
	b := outer.element("producers", len(g.Producers), MaxProducerSets, 0, MaxGenesis)
	if outer.err != nil {
		return
	}
	var set ProducerSet
	r := canonicalReader("producer set", b, MaxGenesis)
	for r.next() {
		switch r.num {
		case 1:
			set.Height = r.uint64("height")
		case 2:
			key := r.element("producers", len(set.Producers), MaxProducers, len(Address{}), len(Address{}))
			if r.err == nil {
				set.Producers = append(set.Producers, Address(key))
			}
		default:
			r.skip()
		}
	}
	if r.err != nil {
		outer.fail("producers", r.err)
		return
	}
	g.Producers = append(g.Producers, set)
}

func (g *Genesis) decodeRule(outer *reader) {
	b := outer.element("rules", len(g.Rules), MaxRuleChanges, 0, MaxGenesis)
	if outer.err != nil {
		return
	}
	var rule RuleChange
	r := canonicalReader("rule change", b, MaxGenesis)
	for r.next() {
		switch r.num {
		case 1:
			rule.Height = r.uint64("height")
		case 2:
			rule.Version = r.uint32("version")
		default:
			r.skip()
		}
	}
	if r.err != nil {
		outer.fail("rules", r.err)
		return
	}
	g.Rules = append(g.Rules, rule)
}

func (l *Limits) decode(outer *reader, b []byte) {
	r := canonicalReader("limits", b, MaxGenesis)
	for r.next() {
		switch r.num {
		case 1:
			l.MinFeePerByte = r.uint64("min_fee_per_byte")
		case 2:
			l.MaxTxBytes = r.uint32("max_tx_bytes")
		case 3:
			l.MaxBlockBytes = r.uint32("max_block_bytes")
		case 4:
			l.MaxBlockTxs = r.uint32("max_block_txs")
		case 5:
			l.ClockToleranceMillis = r.uint32("clock_tolerance_millis")
		default:
			r.skip()
		}
	}
	if r.err != nil {
		outer.fail("limits", r.err)
	}
}
