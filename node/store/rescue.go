package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/grapevine-p2p/grapevine/wire"
)

// A damaged store is set aside and a new one takes its place, so that a node starts whatever
// its disk did to it. What peers have is fetched from them again. What only this node knows is
// read from the files one by one, without the database: transactions that were accepted here,
// how they ended, evidence, and the slot that was signed last.
//
// The order is: read, write what was found into one file, move the damaged files into a folder,
// make a new database, put in what was found, remove the file. Whenever that is interrupted, the
// next opening goes on from the file.

const (
	rescuedName   = "rescued"   // what was found, while it is not in the new database
	condemnedName = "condemned" // why the store is to be set aside at the next opening
	asidePrefix   = "damaged-"  // of folders
)

// Rescue tells what became of a damaged store.
type Rescue struct {
	Why   string // what was damaged
	Aside string // the folder to which its files were moved; nobody removes it but the operator
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

// Aside lists the folders of damaged stores that lie in this one's.
func (s *Store) Aside() []string {
	names, _ := s.opt.FS.List(s.dir)
	var aside []string
	for _, name := range names {
		if strings.HasPrefix(name, asidePrefix) {
			aside = append(aside, s.opt.FS.PathJoin(s.dir, name))
		}
	}
	slices.Sort(aside)
	return aside
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
	if why != nil {
		if err := s.setAside(why); err != nil {
			return nil, err
		}
	}
	d, err := s.openWithRescued()
	if errors.Is(err, Damaged) {
		why = err
		if err := s.setAside(why); err != nil {
			return nil, err
		}
		d, err = s.openWithRescued()
	}
	return d, err
}

// condemned says why the store is to be set aside before it is opened, if it is.
func (s *Store) condemned() (error, error) {
	for _, name := range []File{rescuedName, condemnedName} {
		b, err := s.ReadFile(name, math.MaxInt32)
		switch {
		case err != nil:
			return nil, err
		case b == nil:
		case name == rescuedName:
			return errors.New("it was being set aside"), nil
		default:
			return errors.New(strings.ToValidUTF8(string(b[:min(len(b), 1000)]), "")), nil
		}
	}
	return nil, nil
}

// setAside moves the files of a damaged store into a folder, after what only this node knows was
// read from them.
func (s *Store) setAside(why error) error {
	files, err := s.databaseFiles()
	if err != nil {
		return err
	}
	report := &Rescue{Why: why.Error()}
	if _, err := s.opt.FS.Stat(s.path(rescuedName)); errors.Is(err, fs.ErrNotExist) {
		found := s.salvage(files, report)
		if network := found[string(keyStamp())].value; len(network) == 4+len(s.opt.Network) && wire.NetworkID(network[4:]) != s.opt.Network {
			return refuse(s.dir, WrongNetwork, fmt.Errorf("network %s, this node is of %s; it is damaged, too", wire.NetworkID(network[4:]), s.opt.Network))
		}
		if err := s.replaceFile(rescuedName, packRescued(found)); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("open store %s: %w", s.dir, err)
	}
	if report.Aside, err = s.move(files); err != nil {
		return err
	}
	s.rescued = report
	s.logger.Error("the store was damaged and was set aside; what peers have is fetched from them again",
		"err", why, "aside", report.Aside, "accepted", report.Live, "unreadable", report.Unread)
	return nil
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

// move moves files into a new folder and returns its path.
func (s *Store) move(names []string) (string, error) {
	files, at := s.opt.FS, 1
	for _, aside := range s.Aside() {
		if n, err := strconv.Atoi(strings.TrimPrefix(files.PathBase(aside), asidePrefix)); err == nil {
			at = max(at, n+1)
		}
	}
	dir := files.PathJoin(s.dir, asidePrefix+strconv.Itoa(at))
	err := files.MkdirAll(dir, 0o700)
	for _, name := range names {
		if err == nil {
			err = files.Rename(files.PathJoin(s.dir, name), files.PathJoin(dir, name))
		}
	}
	if err == nil {
		err = errors.Join(syncDir(files, dir), syncDir(files, s.dir))
	}
	if err == nil {
		if err = files.Remove(s.path(condemnedName)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("set the damaged store in %s aside: %w; check the disk, then start again", s.dir, err)
	}
	return dir, nil
}

// openWithRescued opens the files, and puts in what was found in damaged ones.
func (s *Store) openWithRescued() (*database, error) {
	d, err := s.open()
	if err != nil {
		return nil, err
	}
	if err := s.putRescued(d); err != nil {
		return nil, errors.Join(err, s.end(d))
	}
	return d, nil
}

func (s *Store) putRescued(d *database) error {
	packed, err := s.ReadFile(rescuedName, math.MaxInt32)
	if err != nil || packed == nil {
		return err
	}
	found, err := unpackRescued(packed)
	if err != nil {
		return refuse(s.dir, Damaged, fmt.Errorf("%s: %w", s.path(rescuedName), err))
	}
	now := s.opt.Slot()
	slot := now
	if v := found[string(keySlot())].value; len(v) == 8 {
		slot = max(slot, binary.BigEndian.Uint64(v))
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
	if err := d.loadEnded(); err != nil {
		return err
	}
	return s.opt.FS.Remove(s.path(rescuedName))
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

// packRescued and unpackRescued are the file of what was found: each key and value after their
// lengths, and SHA-256 of all that.
func packRescued(found map[string]version) (b []byte) {
	for _, key := range slices.Sorted(maps.Keys(found)) {
		v := found[key]
		b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.value)))
		b = append(append(b, key...), v.value...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func unpackRescued(b []byte) (map[string]version, error) {
	const lengths = 8
	if len(b) < sha256.Size || sha256.Sum256(b[:len(b)-sha256.Size]) != [sha256.Size]byte(b[len(b)-sha256.Size:]) {
		return nil, errors.New("its checksum is wrong")
	}
	found := make(map[string]version)
	for b = b[:len(b)-sha256.Size]; len(b) >= lengths; {
		key, value := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
		b = b[lengths:]
		if key+value > len(b) {
			return nil, errors.New("it is cut short")
		}
		found[string(b[:key])] = version{value: b[key : key+value]}
		b = b[key+value:]
	}
	return found, nil
}
