package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const serviceAccountKeyFile = "sa.key"

// ServiceAccountKey returns the key that signs service account tokens.
func (a *Authority) ServiceAccountKey() (*ecdsa.PrivateKey, error) {
	path := filepath.Join(a.dir, serviceAccountKeyFile)
	encoded, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		encoded, err = newKey()
		if err == nil {
			err = write(path, encoded)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the service accounts: %w", err)
	}
	block, _ := pem.Decode(encoded)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key: put the file back, or remove it to make a new one (which ends every token issued before)", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// loadOrMake reads a pair, or stores the one that create makes if neither file
// exists. Half a pair is an error: guessing would cut off every client.
func loadOrMake(certificate, key string, create func() (Pair, error)) (Pair, error) {
	pair, err := load(certificate, key)
	if err == nil || !missing(certificate) || !missing(key) {
		return pair, err
	}
	if pair, err = create(); err != nil {
		return Pair{}, err
	}
	return pair, pair.store(certificate, key)
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func load(certificate, key string) (Pair, error) {
	var pair Pair
	var err error
	if pair.Certificate, err = os.ReadFile(certificate); err != nil {
		return Pair{}, err
	}
	if pair.Key, err = os.ReadFile(key); err != nil {
		return Pair{}, err
	}
	return pair, nil
}

// store writes the key first, so that a certificate on disk always has one.
func (p Pair) store(certificate, key string) error {
	if err := write(key, p.Key); err != nil {
		return err
	}
	return write(certificate, p.Certificate)
}

func (p Pair) parse() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	pair, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("the key is a %T, an ECDSA key is needed", pair.PrivateKey)
	}
	return pair.Leaf, key, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the directory of the certificates: %w: choose another --data-dir", err)
	}
	return nil
}

// write replaces a file whole, or leaves it as it was.
func write(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w: check --data-dir", path, err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Sync()
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w: check --data-dir", path, err)
	}
	return nil
}
