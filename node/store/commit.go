package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Init writes the state before the first block into a store that has none.
func (s *Store) Init(saved ledger.Saved) error {
	if _, err := s.get(keyHead()); !errors.Is(err, NotFound) {
		return fmt.Errorf("init store %s: it has a state already (%v)", s.dir, err)
	}
	b := new(pebble.Batch)
	err := errors.Join(
		setAccounts(b, saved.Accounts),
		b.Set(keyHead(), appendRef(nil, saved.Head), nil),
		b.Set(keyFinal(), appendRef(nil, saved.Final), nil),
	)
	if err == nil {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("init store %s: %w", s.dir, err)
	}
	return nil
}

// Commit writes what c decided, all of it or nothing, and returns when it is on
// disk. The blocks that c names were put before, or come along.
func (s *Store) Commit(c *ledger.Change, along ...*wire.Block) error {
	b := new(pebble.Batch)
	body := func(id wire.BlockID) (*wire.Block, error) {
		for _, block := range along {
			if block.ID() == id {
				return block, nil
			}
		}
		return s.Block(id)
	}
	var err error
	for _, block := range along {
		err = errors.Join(err, setBlock(b, block))
	}
	err = errors.Join(err,
		b.Set(keyTree(c.Block.Height, c.Block.ID), nil, nil),
		unindex(b, c.RolledBack, body),
		index(b, c.Applied, body),
		setAccounts(b, c.Accounts),
		b.Set(keyHead(), appendRef(nil, c.Head), nil),
		b.Set(keyFinal(), appendRef(nil, c.Final), nil),
		dropInvalid(b, c),
	)
	if err == nil && len(c.NewlyFinal) > 0 {
		err = s.dropLosers(b, c)
	}
	if err == nil {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("commit block %s: %w", c.Block.ID, err)
	}
	for _, block := range along {
		s.recent.Store(block)
	}
	return nil
}

func setAccounts(b *pebble.Batch, accounts []ledger.AccountState) error {
	for _, a := range accounts {
		var err error
		if a.Account == (ledger.Account{}) {
			err = b.Delete(keyAccount(a.Address), nil)
		} else {
			err = b.Set(keyAccount(a.Address), appendAccount(nil, a.Account), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bodies finds blocks that the store has, or is about to.
type bodies func(wire.BlockID) (*wire.Block, error)

func unindex(b *pebble.Batch, blocks []ledger.Ref, body bodies) error {
	for _, r := range blocks {
		block, err := body(r.ID)
		if err != nil {
			return err
		}
		if err := b.Delete(keyHeight(r.Height), nil); err != nil {
			return err
		}
		for _, tx := range block.Txs {
			if err := b.Delete(keyTx(tx.ID()), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func index(b *pebble.Batch, blocks []ledger.Ref, body bodies) error {
	for _, r := range blocks {
		block, err := body(r.ID)
		if err != nil {
			return err
		}
		if err := b.Set(keyHeight(r.Height), r.ID[:], nil); err != nil {
			return err
		}
		place := Place{r.ID, r.Height}.append(nil)
		for _, tx := range block.Txs {
			if err := b.Set(keyTx(tx.ID()), place, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropInvalid takes blocks out of the tree that proved invalid when their
// branch was tried. Their height is not told, but they lie in the tree.
func dropInvalid(b *pebble.Batch, c *ledger.Change) error {
	for _, id := range c.Invalid {
		if err := dropBlock(b, id); err != nil {
			return err
		}
	}
	return nil
}

// dropLosers forgets the blocks that lost to those newly final, and takes the
// winners out of the tree.
func (s *Store) dropLosers(b *pebble.Batch, c *ledger.Change) error {
	won := make(map[wire.BlockID]bool, len(c.NewlyFinal))
	for _, r := range c.NewlyFinal {
		won[r.ID] = true
	}
	to := keyTreeFrom(c.Final.Height + 1)
	err := s.scan([]byte{tableTree}, to, func(key, _ []byte) error {
		_, id, ok := splitTree(key)
		if !ok {
			return refuse(s.dir, Damaged, fmt.Errorf("tree entry of %d bytes", len(key)))
		}
		if won[id] || id == c.Block.ID {
			return nil
		}
		return dropBlock(b, id)
	})
	return errors.Join(err, b.DeleteRange([]byte{tableTree}, to, nil))
}

// Load returns the state that the last Commit or Init left. found is false in a
// new store.
func (s *Store) Load() (saved ledger.Saved, found bool, err error) {
	saved.Head, err = s.ref(keyHead())
	if errors.Is(err, NotFound) {
		return saved, false, nil
	} else if err != nil {
		return saved, false, err
	}
	if saved.Final, err = s.ref(keyFinal()); err != nil {
		return saved, false, refuse(s.dir, Damaged, err)
	}
	err = s.scan([]byte{tableAccount}, []byte{tableAccount + 1}, func(key, value []byte) error {
		var a ledger.AccountState
		account, ok := parseAccount(value)
		if !ok || len(key) != 1+len(a.Address) {
			return refuse(s.dir, Damaged, fmt.Errorf("account entry of %d and %d bytes", len(key), len(value)))
		}
		a.Address, a.Account = wire.Address(key[1:]), account
		saved.Accounts = append(saved.Accounts, a)
		return nil
	})
	if err != nil {
		return saved, false, err
	}
	saved.Tree, err = s.tree(saved.Final.Height + 1)
	return saved, err == nil, err
}

func (s *Store) ref(key []byte) (ledger.Ref, error) {
	v, err := s.get(key)
	if err != nil {
		return ledger.Ref{}, err
	}
	r, ok := parseRef(v)
	if !ok {
		return r, refuse(s.dir, Damaged, fmt.Errorf("block reference of %d bytes", len(v)))
	}
	return r, nil
}

// tree returns the headers of the committed blocks from height on. Blocks that
// proved invalid have no body any more.
func (s *Store) tree(height uint64) ([]*wire.Header, error) {
	var ids []wire.BlockID
	err := s.scan(keyTreeFrom(height), []byte{tableTree + 1}, func(key, _ []byte) error {
		_, id, ok := splitTree(key)
		if !ok {
			return refuse(s.dir, Damaged, fmt.Errorf("tree entry of %d bytes", len(key)))
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var headers []*wire.Header
	for _, id := range ids {
		block, err := s.Block(id)
		if errors.Is(err, NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		headers = append(headers, block.Header)
	}
	return headers, nil
}

// Committed tells whether c is on disk, for a caller whose Commit failed in
// doubt. No other change may have been committed since.
func (s *Store) Committed(c *ledger.Change) (bool, error) {
	if len(c.Applied) > 0 {
		head, err := s.ref(keyHead())
		return head.ID == c.Head.ID, err
	}
	_, err := s.get(keyTree(c.Block.Height, c.Block.ID))
	if errors.Is(err, NotFound) {
		return false, nil
	}
	return err == nil, err
}
