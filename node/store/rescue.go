package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// A damaged store is set aside and a new one takes its place, so that a node starts whatever
// its disk did to it. What peers have is fetched from them again. What only this node knows is
// read from the files one by one, without the database: transactions that were accepted here,
// how they ended, evidence, and the slot that was signed last.
//
// The order is: read, make a folder, move the damaged files into it, name it as one that has them all,
// make a new database, put in what was found, name the folder as one that was read. Whenever that is
// interrupted the name of the folder says where, and the next opening goes on there; what was found is
// read from the folder again. A new database that was not finished goes on as well, or gives way where it is
// damaged: nobody writes into it before the folder has its last name.

// condemnedName is the file that says why the store is to be set aside at the next opening.
const condemnedName = "condemned"

// Rescue tells what became of a damaged store.
type Rescue struct {
	Why   string // what was damaged
	Aside string // the folder to which its files were moved
	Live  int    // accepted transactions that had not ended, and were found

	// Unread are the files of which not everything could be read. More may have been accepted
	// than was found, also where there are none: a file may be gone.
	Unread []string
}

// Rescued returns what became of a damaged store when this one was opened, if it was.
func (s *Store) Rescued() (Rescue, bool) {
	if s.rescued == nil {
		return Rescue{}, false
	}
	return *s.rescued, true
}

// Condemn has the store set aside when it is opened the next time: it can be opened, but what is
// in it is damaged.
func (s *Store) Condemn(why error) error {
	return s.replaceFile(condemnedName, []byte(why.Error()))
}

// openOrRescue opens the files, and sets them aside first where they are damaged.
func (s *Store) openOrRescue() (*database, error) {
	if s.opt.Slot == nil {
		return s.open()
	}
	why, err := s.condemned()
	if err != nil {
		return nil, err
	}
	if why == nil {
		d, err := s.open()
		if !errors.Is(err, Damaged) {
			return d, err
		}
		why = err
	}
	return s.rescue(why)
}

// condemned says why the store is to be set aside before it is opened, if it is.
func (s *Store) condemned() (why, err error) {
	if a, err := s.asides(); err != nil {
		return nil, err
	} else if a.filling+a.unread != "" {
		return errors.New("it was being set aside"), nil
	}
	b, err := s.ReadFile(condemnedName, math.MaxInt32)
	if err != nil || b == nil {
		return nil, err
	}
	return errors.New(strings.ToValidUTF8(string(b[:min(len(b), 1000)]), "")), nil
}

// rescue sets a damaged store aside and opens a new one with what only this node knows, or goes on with
// that.
func (s *Store) rescue(why error) (*database, error) {
	report := &Rescue{Why: why.Error()}
	unread, found, err := s.setAside(report)
	if err != nil {
		return nil, err
	}
	d, err := s.open()
	if errors.Is(err, Damaged) { // one that was not finished
		if err = s.removeDatabase(); err == nil {
			d, err = s.open()
		}
	}
	if err != nil {
		return nil, err
	}
	done := strings.TrimSuffix(unread, unreadSuffix)
	err = s.putRescued(d, found)
	if err == nil {
		// A name that came back after a loss of power would have what ends from now on live again.
		err = s.renameAside(unread, done)
	}
	if err != nil {
		return nil, errors.Join(err, s.end(d))
	}
	report.Aside = s.path(File(done))
	s.rescued = report
	s.logger.Error("the store was damaged and was set aside; what peers have is fetched from them again",
		"err", why, "aside", report.Aside, "accepted", report.Live, "unreadable", report.Unread)
	s.pruneAside()
	return d, nil
}

// setAside moves the files of a damaged store into a folder and returns its name, and what only this
// node knows, as it is read from them.
func (s *Store) setAside(report *Rescue) (unread string, found map[string]version, err error) {
	names, err := s.databaseFiles()
	if err != nil {
		return "", nil, err
	}
	a, err := s.asides()
	if err != nil {
		return "", nil, err
	}
	if a.unread == "" && a.filling == "" {
		// Before anything is changed: it may be refused.
		if found, err = s.salvage(s.dir, names, report); err != nil {
			return "", nil, err
		}
		if a.filling, err = s.makeAside(a); err != nil {
			return "", nil, err
		}
	}
	if unread = a.unread; unread == "" {
		if unread, err = s.fillAside(a.filling, names); err != nil {
			return "", nil, err
		}
	}
	if err := s.remove(condemnedName); err != nil || found != nil {
		return unread, found, err
	}
	dir := s.path(File(unread))
	if names, err = s.opt.FS.List(dir); err != nil {
		return "", nil, s.cannotSetAside(err)
	}
	found, err = s.salvage(dir, names, report)
	return unread, found, err
}

// removeDatabase removes the files of the database that lies in the store's folder.
func (s *Store) removeDatabase() error {
	names, err := s.databaseFiles()
	if err != nil {
		return err
	}
	return s.remove(names...)
}

// databaseFiles lists the files of the database, and its mark. It refuses a folder in which something
// lies that is nobody's here: what is another's is not moved.
func (s *Store) databaseFiles() ([]string, error) {
	names, err := s.opt.FS.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	}
	slices.Sort(names)
	var files []string
	for _, name := range names {
		switch {
		case isDatabaseFile(name) || name == markName:
			files = append(files, name)
		case !isOwnFile(name):
			return nil, refuse(s.dir, Foreign, fmt.Errorf("it is damaged, and holds %q", name))
		}
	}
	return files, nil
}

// isDatabaseFile knows the names that pebble gives.
func isDatabaseFile(name string) bool {
	for _, prefix := range []string{"marker.", "MANIFEST-", "OPTIONS-", "CURRENT", "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	number, kind, _ := strings.Cut(name, ".")
	_, err := strconv.ParseUint(number, 10, 64)
	return err == nil && slices.Contains([]string{"log", "sst", "blob", "dbtmp"}, kind)
}

// putRescued puts what was found in a damaged store into a new one.
func (s *Store) putRescued(d *database, found map[string]version) error {
	signed, err := d.get(keySlot()) // by whoever got this far before
	if err != nil && !errors.Is(err, NotFound) {
		return err
	}
	now := s.opt.Slot()
	slot := now
	for _, v := range [][]byte{signed, found[string(keySlot())].value} {
		if len(v) == 8 {
			slot = max(slot, binary.BigEndian.Uint64(v))
		}
	}
	delete(found, string(keyStamp()))
	found[string(keySlot())] = version{value: binary.BigEndian.AppendUint64(nil, slot)}
	found[string(keyRescue())] = version{value: binary.BigEndian.AppendUint64(nil, now)}
	const piece = 1 << 20
	b := new(pebble.Batch)
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if err := b.Set([]byte(key), found[key].value, nil); err != nil {
			return err
		}
		if b.Len() >= piece {
			if err := d.write(b, func() {}); err != nil {
				return err
			}
			b = new(pebble.Batch)
		}
	}
	if err := d.write(b, func() {}); err != nil {
		return err
	}
	return d.loadEnded()
}

// RescueSlot returns the slot in which a damaged store was set aside, 0 where that was never so: a
// chain whose head is older is being fetched again.
func (s *Store) RescueSlot() (uint64, error) {
	v, err := s.get(keyRescue())
	switch {
	case errors.Is(err, NotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(v) != 8:
		return 0, refuse(s.dir, Damaged, fmt.Errorf("slot of a rescue of %d bytes", len(v)))
	}
	return binary.BigEndian.Uint64(v), nil
}
