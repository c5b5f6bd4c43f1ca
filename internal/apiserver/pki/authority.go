package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"time"
)

const (
	caFile, caKeyFile = "ca.crt", "ca.key"

	caValidity     = 10 * 365 * 24 * time.Hour
	clientValidity = 5 * 365 * 24 * time.Hour
	// backdate lets a machine whose clock is a little behind accept what is
	// issued now.
	backdate = time.Hour
)

// Authority issues the certificates of one installation.
type Authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// pem is the certificate as clients are given it.
	pem []byte
}

// Pair is a certificate with its key, both PEM.
type Pair struct{ Certificate, Key []byte }

// Open loads the authority from dir, or makes it there. The directory is
// created with mode 0700.
func Open(dir string) (*Authority, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	pair, err := loadOrMake(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile), newAuthority)
	if err != nil {
		return nil, err
	}
	certificate, key, err := pair.parse()
	if err != nil {
		return nil, fmt.Errorf("the certificate authority in %s cannot be read (%w): put the files back, or remove both to make a new one", dir, err)
	}
	return &Authority{dir: dir, certificate: certificate, key: key, pem: pair.Certificate}, nil
}

// Certificate is the authority's own, PEM.
func (a *Authority) Certificate() []byte { return a.pem }

// Client issues a certificate that authenticates user as a member of groups.
func (a *Authority) Client(user string, groups ...string) (Pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		NotAfter:    time.Now().Add(clientValidity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// issue signs template with a new key. It never outlives the authority.
func (a *Authority) issue(template *x509.Certificate) (Pair, error) {
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	return sign(template, a.certificate, a.key)
}

func newAuthority() (Pair, error) {
	return sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "coxswain"},
		NotAfter:              time.Now().Add(caValidity),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil, nil)
}

// sign makes a key and a certificate for it; a nil parent signs itself.
func sign(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-backdate)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return Pair{}, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}, nil
}
