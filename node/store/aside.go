package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	asidePrefix = "damaged-" // of folders of damaged stores, before their number
	// How far a folder is stands behind its number: files are being moved into it, or it has
	// them all and what only they have is not in the new database yet. After that it has no
	// suffix.
	fillingSuffix = ".filling"
	unreadSuffix  = ".unread"

	// maxAside and maxAsideBytes bound what is kept of damaged stores: a disk that damages again
	// and again would be filled by them. The newest stays however large it is, for a person to look
	// at, and so do two before it, to see whether it is always the same file, where they are small
	// beside a chain.
	maxAside      = 3
	maxAsideBytes = 1 << 30 // of all but the newest
)

// asides are the names of the folders of damaged stores. What a person renamed is not among them.
type asides struct {
	done            []string // the oldest first
	filling, unread string   // of the one that is being set aside, if there is one
	last            uint64   // the highest number
}

func (s *Store) asides() (a asides, err error) {
	names, err := s.opt.FS.List(s.dir)
	if err != nil {
		return a, fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	}
	numbers := make(map[string]uint64)
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, asidePrefix)
		number, suffix, dotted := strings.Cut(rest, ".")
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			continue
		}
		numbers[name] = n
		switch {
		case !dotted:
			a.done = append(a.done, name)
		case "."+suffix == fillingSuffix:
			a.filling = name
		case "."+suffix == unreadSuffix:
			a.unread = name
		default:
			continue
		}
		a.last = max(a.last, n)
	}
	slices.SortFunc(a.done, func(x, y string) int { return cmp.Compare(numbers[x], numbers[y]) })
	return a, nil
}

// Aside lists the folders of damaged stores that lie in this one's, the oldest first.
func (s *Store) Aside() (dirs []string) {
	a, _ := s.asides()
	for _, name := range a.done {
		dirs = append(dirs, s.path(File(name)))
	}
	return dirs
}

// makeAside makes a folder for files to be moved to, and returns its name. It is on disk.
func (s *Store) makeAside(a asides) (filling string, err error) {
	filling = asidePrefix + strconv.FormatUint(a.last+1, 10) + fillingSuffix
	err = s.opt.FS.MkdirAll(s.path(File(filling)), 0o700)
	if err == nil {
		err = syncDir(s.opt.FS, s.dir)
	}
	return filling, s.cannotSetAside(err)
}

// fillAside moves files into a folder, and returns the name that it has when it has them all.
func (s *Store) fillAside(filling string, names []string) (unread string, err error) {
	dir := s.path(File(filling))
	for _, name := range names {
		if err := s.opt.FS.Rename(s.path(File(name)), s.opt.FS.PathJoin(dir, name)); err != nil {
			return "", s.cannotSetAside(err)
		}
	}
	if err := syncDir(s.opt.FS, dir); err != nil {
		return "", s.cannotSetAside(err)
	}
	unread = strings.TrimSuffix(filling, fillingSuffix) + unreadSuffix
	return unread, s.renameAside(filling, unread)
}

// renameAside gives a folder another name, durably, and all that was moved out of the store's folder
// is on disk as well.
func (s *Store) renameAside(from, to string) error {
	err := syncDir(s.opt.FS, s.dir)
	if err == nil {
		err = s.opt.FS.Rename(s.path(File(from)), s.path(File(to)))
	}
	if err == nil {
		err = syncDir(s.opt.FS, s.dir)
	}
	return s.cannotSetAside(err)
}

// remove removes files of the store's folder, durably. Those that are not there are none to remove.
func (s *Store) remove(names ...string) error {
	for _, name := range names {
		if err := s.opt.FS.Remove(s.path(File(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.cannotSetAside(err)
		}
	}
	return s.cannotSetAside(syncDir(s.opt.FS, s.dir))
}

// cannotSetAside says what was attempted when err came of it, if it is one.
func (s *Store) cannotSetAside(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("set the damaged store in %s aside: %w; check the disk, then start again", s.dir, err)
}

// pruneAside removes the oldest damaged stores beyond the bounds. What only this node knew was read
// from all of them, as far as it could be, and is on disk elsewhere. One that cannot be removed is
// left for the next time.
func (s *Store) pruneAside() {
	a, err := s.asides()
	if err != nil {
		return
	}
	bytes := uint64(0)
	for i, name := range slices.Backward(a.done) {
		if i == len(a.done)-1 {
			continue
		}
		dir := s.path(File(name))
		size := sizeOf(s.opt.FS, dir)
		if bytes += size; len(a.done)-i <= maxAside && bytes <= maxAsideBytes {
			continue
		}
		if err := s.opt.FS.RemoveAll(dir); err != nil {
			s.logger.Warn("an old damaged store cannot be removed", "folder", dir, "err", err)
			continue
		}
		s.logger.Warn("an old damaged store was removed, to bound what they take", "folder", dir, "bytes", size)
	}
}

// sizeOf is what the files in a folder of a damaged store take.
func sizeOf(files vfs.FS, dir string) (bytes uint64) {
	names, _ := files.List(dir)
	for _, name := range names {
		if info, err := files.Stat(files.PathJoin(dir, name)); err == nil {
			bytes += uint64(max(0, info.Size()))
		}
	}
	return bytes
}
