package store

import (
	"encoding/binary"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Every key starts with the letter of its table. Numbers are big-endian, so
// that keys sort by them.
const (
	tableStamp    = 'm' // → schema, network id
	tableState    = 's' // name → head, final, signed slot, slot of a rescue or number of the last batch
	tableAccount  = 'a' // address → balance, nonce
	tableBlock    = 'b' // block id, part → piece of the block
	tableTree     = 'n' // height, block id → nothing: the blocks above final that the ledger knows
	tableHeight   = 'h' // height → block id, best chain
	tableTx       = 't' // transaction id → block id, height; best chain
	tableLocal    = 'l' // transaction id → local transaction
	tableEnded    = 'e' // sequence number → transaction id of an ended local transaction
	tableRing     = 'r' // number of a batch, modulo ringSize → the number
	tableEvidence = 'v' // producer, slot → when it was learnt, proof of equivocation
)

func keyStamp() []byte             { return []byte{tableStamp} }
func keyHead() []byte              { return []byte{tableState, 'h'} }
func keyFinal() []byte             { return []byte{tableState, 'f'} }
func keySlot() []byte              { return []byte{tableState, 's'} }
func keyRescue() []byte            { return []byte{tableState, 'r'} }
func keyMark() []byte              { return []byte{tableState, 'm'} }
func keyTx(id wire.TxID) []byte    { return append([]byte{tableTx}, id[:]...) }
func keyLocal(id wire.TxID) []byte { return append([]byte{tableLocal}, id[:]...) }

func keyBlockPart(id wire.BlockID, part uint16) []byte {
	return binary.BigEndian.AppendUint16(append([]byte{tableBlock}, id[:]...), part)
}

func keyAccount(a wire.Address) []byte { return append([]byte{tableAccount}, a[:]...) }

func keyRing(number uint64) []byte {
	return binary.BigEndian.AppendUint32([]byte{tableRing}, uint32(number%ringSize))
}

func keyEvidence(producer wire.Address, slot uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte{tableEvidence}, producer[:]...), slot)
}

func keyHeight(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableHeight}, height)
}

func keyEnded(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableEnded}, seq)
}

func keyTree(height uint64, id wire.BlockID) []byte {
	return append(keyTreeFrom(height), id[:]...)
}

// keyTreeFrom sorts before every block of the tree at height and after all below.
func keyTreeFrom(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableTree}, height)
}

// splitTree returns what keyTree put together.
func splitTree(key []byte) (height uint64, id wire.BlockID, ok bool) {
	if len(key) != 1+8+len(id) {
		return 0, id, false
	}
	return binary.BigEndian.Uint64(key[1:]), wire.BlockID(key[9:]), true
}

func appendRef(b []byte, r ledger.Ref) []byte {
	b = append(b, r.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Height)
	b = binary.BigEndian.AppendUint64(b, r.Slot)
	return binary.BigEndian.AppendUint64(b, r.Time)
}

func parseRef(b []byte) (r ledger.Ref, ok bool) {
	if len(b) != len(r.ID)+3*8 {
		return r, false
	}
	r.ID = wire.BlockID(b[:len(r.ID)])
	b = b[len(r.ID):]
	r.Height, r.Slot, r.Time = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	return r, true
}

func appendAccount(b []byte, a ledger.Account) []byte {
	b = binary.BigEndian.AppendUint64(b, a.Balance)
	return binary.BigEndian.AppendUint64(b, a.Nonce)
}

func parseAccount(b []byte) (a ledger.Account, ok bool) {
	if len(b) != 2*8 {
		return a, false
	}
	return ledger.Account{Balance: binary.BigEndian.Uint64(b), Nonce: binary.BigEndian.Uint64(b[8:])}, true
}
