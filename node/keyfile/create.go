package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Create writes key to a new file at path, mode 0600, encrypted unless
// passphrase is empty. The file is whole and on disk when Create returns nil;
// a file that exists is left alone (Exists).
func Create(path string, key ed25519.PrivateKey, passphrase string) error {
	return create(path, key, passphrase, scryptWork)
}

func create(path string, key ed25519.PrivateKey, passphrase string, work int) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("keyfile: create %s: key of %d bytes, want %d", path, len(key), ed25519.PrivateKeySize)
	}
	text, err := encode(key, passphrase, work)
	if err != nil {
		return fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	// The name is taken first, so that two creators cannot both succeed, and
	// the content comes by rename, so that it is never seen half.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w; choose another name or move the file away", path, Exists)
	} else if err != nil {
		return fmt.Errorf("keyfile: %w", err)
	}
	err = errors.Join(f.Close(), replace(path, text))
	if err != nil {
		_ = os.Remove(path) // ours, and still empty
		return fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	return nil
}

func encode(key ed25519.PrivateKey, passphrase string, work int) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n%s%x\n", firstLine, publicStart, key.Public())
	plain := pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: key.Seed()})
	if passphrase == "" {
		out.Write(plain)
		return out.Bytes(), nil
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(work)
	shell := armor.NewWriter(&out)
	w, err := age.Encrypt(shell, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), shell.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// replace puts text into the file at path by way of a second file, both synced.
func replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
