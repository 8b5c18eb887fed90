package wire

// Sizes are in bytes of the encoded message. They are part of the format: a
// network may set lower limits in its genesis, never higher ones.
const (
	MaxTx        = 128 << 10
	MaxBlock     = 4 << 20
	MaxHeader    = 2 << 10
	MaxHeaderApp = 1 << 10 // the bytes a header carries for the embedding chain
	MaxBlockTxs  = 40_000

	// MaxCompactBlock leaves room for a header and MaxBlockTxs short ids.
	MaxCompactBlock = 256 << 10
	// MaxEvidence leaves room for two headers with tag and length.
	MaxEvidence = 2*MaxHeader + 16

	// MinTx is the size of a transaction with a body of one byte: the least
	// that any can have. It keeps a block of empty entries from growing in
	// memory.
	MinTx = (1 + 1 + 1) + (1 + 1 + signatureSize)
)

// Limits of the genesis document, chosen so that a genesis at all of the
// others is within MaxGenesis and MaxGenesisJSON.
const (
	MaxGenesis       = 16 << 20
	MaxGenesisJSON   = 48 << 20
	MaxAllocations   = 100_000
	MaxProducerSets  = 1_024
	MaxProducers     = 256 // of one set
	MaxRuleChanges   = 256
	MaxNetworkName   = 64
	MaxAddressPrefix = 16
)

// Limits of request frames. An answer carries at most one block, and the
// slack holds its other fields.
const (
	MaxHello          = 1 << 10
	MaxSyncRequest    = 4 << 10
	MaxSyncAnswer     = MaxBlock + frameSlack
	MaxCompactRequest = 256 << 10
	MaxCompactAnswer  = MaxBlock + frameSlack

	MaxAgent      = 64 // bytes of the text that names a peer's software
	MaxSyncBlocks = 64 // block ids in one SyncRequest

	MaxSyncHeaders = 512 // in one SyncAnswer

	frameSlack = 1 << 10
)

const signatureSize = 64
