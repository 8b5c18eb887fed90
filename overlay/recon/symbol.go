package recon

// SymbolSize is what a symbol takes on the wire, in bytes.
const SymbolSize = 8 + 4 + 1

// Symbol is the sum of some of the short ids of a set. That of a difference of
// sets is the difference of their symbols.
type Symbol struct {
	Sum   uint64 // of the short ids, by exclusive or
	Check uint32 // of the low halves of their check sums, by exclusive or
	// Count is how many there are, modulo 256. That is enough: what is decoded are
	// counts of 1 and −1, and Check tells them from 257; and it says how large a
	// difference is long before it decodes (see Estimate).
	Count uint8
}

// add puts a short id in, or takes it out if sign is −1.
func (s *Symbol) add(short Short, check uint64, sign int8) {
	s.Sum ^= uint64(short)
	s.Check ^= uint32(check)
	s.Count += uint8(sign)
}

// minus is the symbol of the difference.
func (s Symbol) minus(t Symbol) Symbol {
	return Symbol{Sum: s.Sum ^ t.Sum, Check: s.Check ^ t.Check, Count: s.Count - t.Count}
}

// toggle puts a short id into, or takes it out of, all symbols of the list that
// hold it.
func toggle(symbols []Symbol, short Short, check uint64, sign int8) {
	end := uint32(len(symbols))
	w := newWalk(check)
	for i := uint32(0); i < end; i = w.next(end) {
		symbols[i].add(short, check, sign)
	}
}
