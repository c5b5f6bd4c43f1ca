package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	authority, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := loaded.PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("the key is a %T", loaded.PrivateKey)
	}
	return loaded.Leaf
}

func roots(authority *Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.Certificate())
	return pool
}

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	first := open(t, dir)
	if second := open(t, dir); string(second.Certificate()) != string(first.Certificate()) {
		t.Error("a second start made another authority")
	}
	for name, want := range map[string]os.FileMode{".": 0o700, caFile: 0o600, caKeyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

func TestServingCertificateCoversWhatIsAsked(t *testing.T) {
	dir := t.TempDir()
	authority := open(t, dir)
	names := []string{"localhost", "kubernetes.default.svc"}
	addresses := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.96.0.1")}
	pair, err := authority.Serving(names, addresses)
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	for _, name := range []string{"localhost", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"} {
		if _, err := certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: roots(authority)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	kept, err := open(t, dir).Serving(names[:1], addresses[:1])
	if err != nil || string(kept.Certificate) != string(pair.Certificate) {
		t.Errorf("a certificate that covers more was not kept: %v", err)
	}
	renewed, err := authority.Serving(names, append(addresses, netip.MustParseAddr("192.0.2.7")))
	if err != nil || string(renewed.Certificate) == string(pair.Certificate) {
		t.Errorf("a certificate that covers less was kept: %v", err)
	}
	if err := parse(t, renewed).VerifyHostname("192.0.2.7"); err != nil {
		t.Error(err)
	}
}

func TestServingCertificateOfAnotherAuthorityIsReplaced(t *testing.T) {
	dir := t.TempDir()
	old, err := open(t, dir).Serving([]string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{caFile, caKeyFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	authority := open(t, dir)
	renewed, err := authority.Serving([]string{"localhost"}, nil)
	if err != nil || string(renewed.Certificate) == string(old.Certificate) {
		t.Fatalf("it was kept: %v", err)
	}
	if _, err := parse(t, renewed).Verify(x509.VerifyOptions{DNSName: "localhost", Roots: roots(authority)}); err != nil {
		t.Error(err)
	}
}

func TestClientCertificateSaysWho(t *testing.T) {
	authority := open(t, t.TempDir())
	pair, err := authority.Client("alice", "painters", "builders")
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	if certificate.Subject.CommonName != "alice" || strings.Join(certificate.Subject.Organization, ",") != "builders,painters" {
		t.Errorf("it says %v", certificate.Subject)
	}
	options := x509.VerifyOptions{Roots: roots(authority), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := certificate.Verify(options); err != nil {
		t.Error(err)
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := certificate.Verify(options); err == nil {
		t.Error("a client's certificate can serve")
	}
}

func TestServiceAccountKeyIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := open(t, dir).ServiceAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	second, err := open(t, dir).ServiceAccountKey()
	if err != nil || !first.Equal(second) {
		t.Errorf("a second start has another key: %v", err)
	}
}

func TestBrokenFilesAreNeverReplaced(t *testing.T) {
	for _, test := range []struct{ name, broken, remove, want string }{
		{"certificate", caFile, "", "put the files back"},
		{"key", caKeyFile, "", "put the files back"},
		{"half a pair", "", caKeyFile, caKeyFile},
		{"service accounts", serviceAccountKeyFile, "", "put the file back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := open(t, dir).ServiceAccountKey(); err != nil {
				t.Fatal(err)
			}
			kept, err := os.ReadFile(filepath.Join(dir, caFile))
			if err != nil {
				t.Fatal(err)
			}
			if test.broken != "" {
				kept = []byte("garbage")
				if err := os.WriteFile(filepath.Join(dir, test.broken), kept, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.remove != "" {
				if err := os.Remove(filepath.Join(dir, test.remove)); err != nil {
					t.Fatal(err)
				}
			}
			authority, err := Open(dir)
			if err == nil {
				_, err = authority.ServiceAccountKey()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			checked := test.broken
			if checked == "" {
				checked = caFile
			}
			if now, err := os.ReadFile(filepath.Join(dir, checked)); err != nil || string(now) != string(kept) {
				t.Errorf("%s was changed: %v", checked, err)
			}
		})
	}
}

func TestDirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "pki")); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseKeepsItsFooting(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"), []byte("x"))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte{1}}), []byte{})
	f.Fuzz(func(t *testing.T, certificate, key []byte) {
		if _, parsed, err := (Pair{certificate, key}).parse(); err == nil && parsed == nil {
			t.Error("no key and no error")
		}
	})
}
