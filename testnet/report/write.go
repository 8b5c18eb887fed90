package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes r to a file of that name, as WriteJSON does. It fails where
// ReadFile would refuse what is written for its size.
func (r *Report) WriteFile(name string) error {
	return WriteFile(name, func(w io.Writer) error { return r.WriteJSON(&bounded{w, MaxReport}) })
}

// bounded writes no more than a report may have.
type bounded struct {
	io.Writer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return 0, fmt.Errorf("the report is larger than %d bytes, which nobody would read; leave its trace out, or run fewer nodes", MaxReport)
	}
	b.left -= len(p)
	return b.Writer.Write(p)
}

// WriteFile makes the file called name out of what write writes: the whole of
// it, or nothing. It writes beside the place and renames at the end, so that a
// full disk leaves what was there before, and no half file. A name that stands
// for something else than a file, such as a pipe, is written to as it comes.
func WriteFile(name string, write func(io.Writer) error) error {
	put, target := replace, name
	if behind, err := filepath.EvalSymlinks(name); err == nil {
		target = behind
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		put = pour
	}
	if err := put(target, write); err != nil {
		return fmt.Errorf("write %s: %w", name, reason(err))
	}
	return nil
}

// Writable says before there is anything to write whether WriteFile could put a
// file there, by making one beside it and removing it again. Of what is no file,
// such as a pipe, it says nothing.
func Writable(name string) error {
	target := name
	if behind, err := filepath.EvalSymlinks(name); err == nil {
		target = behind
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return nil
	}
	f, err := beside(target)
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, reason(err))
	}
	return nil
}

// beside makes the file that is to take the place of the one called name.
func beside(name string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
}

// pour writes to what is there.
func pour(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// replace writes a new file and puts it in the place of the one called name.
func replace(name string, write func(io.Writer) error) (err error) {
	f, err := beside(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()           // the error that matters is there already
			os.Remove(f.Name()) // it is in nobody's way
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// reason takes the name of the temporary file, which nobody asked for, out of
// what the system says.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	return err
}

// MaxReport bounds a report in a file. One with a full trace has a few
// megabytes.
const MaxReport = 64 << 20

// ReadFile reads a report that WriteJSON wrote. Keys that are not known are
// left out, so that older programs read newer reports. The error says what is
// wrong with a file that is no report.
func ReadFile(name string) (*Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	defer f.Close() // it was only read
	r, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", name, err)
	}
	return r, nil
}

func read(from io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(from, MaxReport+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > MaxReport {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxReport)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("it is no report: %w", err)
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("it is no report: %w", err)
	}
	return r, nil
}
