package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// File names what a node keeps beside the database: it may be lost, or be moved away by the
// operator, and the node does without. Whether the content is sound is for its owner to
// say.
type File string

// Files of a home.
const (
	PeersFile      File = "peers"      // the address book
	ReputationFile File = "reputation" // bans, and what peers earned
)

// asideSuffix marks a file that was set aside.
const asideSuffix = ".damaged"

// WriteFile replaces a file. After a crash, of the process or of the machine, it is the old
// one or the new one.
func (s *Store) WriteFile(file File, b []byte) error {
	if err := s.Err(); err != nil { // leave the space to those who need it
		return fmt.Errorf("write %s: %w", s.path(file), err)
	}
	return s.replaceFile(file, b)
}

func (s *Store) replaceFile(file File, b []byte) error {
	files, name := s.opt.FS, s.path(file)
	err := writeSynced(files, name+newSuffix, b)
	if err == nil {
		err = files.Rename(name+newSuffix, name)
	}
	if err == nil {
		err = syncDir(files, s.dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeSynced(files vfs.FS, name string, b []byte) error {
	f, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Clone(b)) // a vfs.File may change what it is given to write
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(files vfs.FS, dir string) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadFile returns the content of a file, nil if there is none. One of more than limit
// bytes is an error.
func (s *Store) ReadFile(file File, limit int) ([]byte, error) {
	f, err := s.opt.FS.Open(s.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path(file), err)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path(file), err)
	}
	return b, nil
}

// SetAside renames a file, for a person to look at, and returns its new name. One that was
// set aside before is lost.
func (s *Store) SetAside(file File) (string, error) {
	aside := s.path(file) + asideSuffix
	if err := s.opt.FS.Rename(s.path(file), aside); err != nil {
		return "", fmt.Errorf("set %s aside: %w", s.path(file), err)
	}
	return aside, nil
}

// isFile says whether name is that of a file, or of one that is being written or was set
// aside.
func isFile(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, newSuffix), asideSuffix)
	return slices.Contains([]File{PeersFile, ReputationFile, condemnedName}, File(name))
}

func (s *Store) path(file File) string { return s.opt.FS.PathJoin(s.dir, string(file)) }
