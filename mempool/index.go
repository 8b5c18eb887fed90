package mempool

import "hash/maphash"

// index finds numbers by a key of 32 bytes that is kept elsewhere: an open hash
// table with linear probing, of eight bytes a place where a map of Go needs
// some forty. Its seed keeps others from choosing keys that collide; nothing
// that it answers depends on it.
type index struct {
	key   func(n uint32) [32]byte
	seed  maphash.Seed
	table []indexed // a power of two
	count int
}

// indexed is a filled place, or the zero value. The hash tells nearly always
// that a key is another one without a look at it.
type indexed struct {
	hash   uint32
	number uint32 // plus one
}

func newIndex(key func(n uint32) [32]byte) index {
	return index{key: key, seed: maphash.MakeSeed(), table: make([]indexed, 16)}
}

func (x *index) hash(key [32]byte) uint32 { return uint32(maphash.Bytes(x.seed, key[:])) }

func (x *index) mask() uint32 { return uint32(len(x.table) - 1) }

// find returns the number that has the key.
func (x *index) find(key [32]byte) (n uint32, ok bool) {
	hash := x.hash(key)
	for i := hash & x.mask(); x.table[i].number != 0; i = (i + 1) & x.mask() {
		if n = x.table[i].number - 1; x.table[i].hash == hash && x.key(n) == key {
			return n, true
		}
	}
	return 0, false
}

// add puts n in under a key that no other has.
func (x *index) add(n uint32, key [32]byte) {
	if 4*(x.count+1) > 3*len(x.table) {
		old := x.table
		x.table = make([]indexed, 2*len(old))
		for _, p := range old {
			if p.number != 0 {
				x.put(p)
			}
		}
	}
	x.put(indexed{x.hash(key), n + 1})
	x.count++
}

func (x *index) put(p indexed) {
	i := p.hash & x.mask()
	for x.table[i].number != 0 {
		i = (i + 1) & x.mask()
	}
	x.table[i] = p
}

// remove takes n out, which is in under the key.
func (x *index) remove(n uint32, key [32]byte) {
	hole := x.hash(key) & x.mask()
	for x.table[hole].number != n+1 {
		hole = (hole + 1) & x.mask()
	}
	// What follows moves up, unless it would come before where its search begins.
	for i := (hole + 1) & x.mask(); x.table[i].number != 0; i = (i + 1) & x.mask() {
		if begin := x.table[i].hash; (i-begin)&x.mask() >= (i-hole)&x.mask() {
			x.table[hole] = x.table[i]
			hole = i
		}
	}
	x.table[hole] = indexed{}
	x.count--
}
