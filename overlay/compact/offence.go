package compact

// Fault is what a link, or a producer, provably did wrong.
type Fault string

// The faults of a link.
const (
	// Garbage: a frame that no honest node writes, or an index outside the block.
	Garbage Fault = "garbage"
	// WrongTx: a transaction that is not the one of its place in the block.
	WrongTx Fault = "wrong transaction"
	// BadProof: a chunk that does not prove.
	BadProof Fault = "chunk does not prove"
	// Unasked: a second fill, an answer to nothing or with more than was asked for, or a
	// chunk that was neither asked for nor said to be pushed.
	Unasked Fault = "not asked for"
	// Greedy: asked for more of a block than anybody needs.
	Greedy Fault = "asked for too much"
)

// The fault of a producer.
const (
	// BadCoding: the header's chunk_root signs chunks that are not those of the body it
	// signs. The block may be valid all the same.
	BadCoding Fault = "chunks of another body"
)

func (f Fault) Error() string { return "compact: " + string(f) }

// Lapse is what a link did not do. It proves nothing: the line may be to blame, or we.
type Lapse string

// The lapses.
const (
	// Late: what was asked for, or promised, did not come in time.
	Late Lapse = "late"
	// Empty: who had said to have it did not give it.
	Empty Lapse = "empty"
	// Withheld: what it owed never came.
	Withheld Lapse = "withheld"
	// Again: a chunk that it had sent before; it may have lost its memory.
	Again Lapse = "again"
)

// Failure says why a block could not be put together here. It blames nobody.
type Failure string

const (
	// Collision: all places are taken and the whole is not what the header signs: a
	// known transaction has the short id of another. The whole block has to be asked for.
	Collision Failure = "compact: short ids collide"
	// Exhausted: nobody gave what is missing, within the rounds allowed.
	Exhausted Failure = "compact: nobody gave what is missing"
	// TooMany: as many blocks as allowed are being put together, in all or of one producer.
	TooMany Failure = "compact: too many blocks at once"
)

func (f Failure) Error() string { return string(f) }
