package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"
)

const (
	servingFile, servingKeyFile = "apiserver.crt", "apiserver.key"

	servingValidity = 365 * 24 * time.Hour
	// renewBefore is how long before its end a serving certificate is
	// replaced at the next start.
	renewBefore = 90 * 24 * time.Hour
)

// Serving returns the certificate under which the API is served, valid for at
// least the names and addresses given. One that was issued before is kept
// while it covers them.
func (a *Authority) Serving(names []string, addresses []netip.Addr) (Pair, error) {
	certificate, key := filepath.Join(a.dir, servingFile), filepath.Join(a.dir, servingKeyFile)
	if pair, err := load(certificate, key); err == nil {
		if parsed, _, err := pair.parse(); err == nil && a.covers(parsed, names, addresses) {
			return pair, nil
		}
	}
	ips := make([]net.IP, 0, len(addresses))
	for _, address := range addresses {
		ips = append(ips, address.AsSlice())
	}
	pair, err := a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		NotAfter:    time.Now().Add(servingValidity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: ips,
	})
	if err != nil {
		return Pair{}, err
	}
	return pair, pair.store(certificate, key)
}

// covers tells if a certificate issued earlier still serves.
func (a *Authority) covers(certificate *x509.Certificate, names []string, addresses []netip.Addr) bool {
	if certificate.CheckSignatureFrom(a.certificate) != nil || time.Now().After(certificate.NotAfter.Add(-renewBefore)) {
		return false
	}
	for _, name := range names {
		if !slices.Contains(certificate.DNSNames, name) {
			return false
		}
	}
	for _, address := range addresses {
		if certificate.VerifyHostname(address.String()) != nil {
			return false
		}
	}
	return true
}
