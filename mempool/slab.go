package mempool

// slab holds values by number. They do not move, so that a pointer to one is
// good until it is given back. Numbers take half of what pointers do, and the
// garbage collector has nothing to follow. It keeps the memory of its peak.
type slab[T any] struct {
	chunks []*[slabChunk]T
	used   uint32   // numbers from here on were never given out
	spare  []uint32 // given back
}

const slabChunk = 1 << 8

func (s *slab[T]) at(n uint32) *T { return &s.chunks[n/slabChunk][n%slabChunk] }

// take gives out a number, whose value is zero.
func (s *slab[T]) take() uint32 {
	if last := len(s.spare) - 1; last >= 0 {
		n := s.spare[last]
		s.spare = s.spare[:last]
		return n
	}
	n := s.used
	if n%slabChunk == 0 {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	s.used++
	return n
}

// give takes a number back.
func (s *slab[T]) give(n uint32) {
	var zero T
	*s.at(n) = zero
	s.spare = append(s.spare, n)
}
