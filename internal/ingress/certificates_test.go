package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// certificateFor is a Secret with a certificate that signs itself.
func certificateFor(t *testing.T, secret string, until time.Time, hosts ...string) *corev1.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: secret}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}}
}

func (r *running) secret(secret *corev1.Secret) {
	r.Helper()
	secrets := r.CoreV1().Secrets("default")
	_, err := secrets.Create(r.Context(), secret, metav1.CreateOptions{})
	if err != nil {
		_, err = secrets.Update(r.Context(), secret, metav1.UpdateOptions{})
	}
	if err != nil {
		r.Fatal(err)
	}
}

const selfMadeName = "self-made certificate of the Ingress front"

func TestCertificatesAreChosenByName(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	later := time.Now().Add(time.Hour)
	r.secret(certificateFor(t, "shop", later, "shop.example"))
	r.secret(certificateFor(t, "wild", later, "*.wild.example"))
	ingress := ingressFor("shop", "shop.example", "web")
	ingress.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "shop"}, {SecretName: "wild", Hosts: []string{"*.wild.example"}}}
	r.create(ingress)
	await(t, "the certificate of shop.example", func() bool {
		if !listens(r.https) {
			return false
		}
		certificate, _ := r.shown("shop.example")
		return certificate.Subject.CommonName == "shop"
	})
	for name, want := range map[string]string{
		"SHOP.example": "shop", "a.wild.example": "wild", "a.b.wild.example": selfMadeName, "wild.example": selfMadeName, "": selfMadeName,
	} {
		certificate, protocol := r.shown(name)
		if got := certificate.Subject.CommonName; got != want || protocol != "h2" {
			t.Errorf("%q is shown the certificate %q by %s, want %q", name, got, protocol, want)
		}
	}

	// A client that has a connection keeps it when the certificate changes.
	pool := x509.NewCertPool()
	first, _ := r.shown("shop.example")
	pool.AddCert(first)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "shop.example"}}}
	defer client.CloseIdleConnections()
	url := "https://127.0.0.1:" + r.https
	if body := r.get(client, url, "shop.example"); body != "web" {
		t.Fatalf("got %q", body)
	}
	r.secret(certificateFor(t, "shop", later, "shop.example"))
	await(t, "the new certificate", func() bool {
		now, _ := r.shown("shop.example")
		return !now.Equal(first)
	})
	if body := r.get(client, url, "shop.example"); body != "web" {
		t.Errorf("after the change: %q", body)
	}
}

func TestCertificatesThatCannotBeUsedAreSaid(t *testing.T) {
	r := run(t)
	later := time.Now().Add(time.Hour)
	broken := certificateFor(t, "broken", later, "broken.example")
	broken.Data[corev1.TLSPrivateKeyKey] = []byte("no key")
	empty := certificateFor(t, "empty", later)
	delete(empty.Data, corev1.TLSPrivateKeyKey)
	r.secret(broken)
	r.secret(empty)
	r.secret(certificateFor(t, "others", later, "else.example"))
	r.secret(certificateFor(t, "old", time.Now().Add(-time.Minute), "old.example"))
	ingress := ingressFor("shop", "shop.example", "web")
	for _, name := range []string{"missing", "broken", "empty", "others", "old"} {
		ingress.Spec.TLS = append(ingress.Spec.TLS, networkingv1.IngressTLS{SecretName: name, Hosts: []string{name + ".example"}})
	}
	r.create(ingress)
	const instead = "; clients are shown a self-made certificate"
	for _, message := range []string{
		"shop BadCertificate: Secret default/missing: it does not exist" + instead,
		"shop BadCertificate: Secret default/broken: its certificate and key cannot be used: ",
		"shop BadCertificate: Secret default/empty: it has no tls.key" + instead,
		`shop BadCertificate: Secret default/others: its certificate is not for "others.example": clients will refuse it`,
		"shop BadCertificate: Secret default/old: its certificate was good until ",
	} {
		r.awaitEvent(message)
	}
	for name, want := range map[string]string{"missing.example": selfMadeName, "broken.example": selfMadeName, "others.example": "others", "old.example": "old"} {
		if certificate, _ := r.shown(name); certificate.Subject.CommonName != want {
			t.Errorf("%s is shown %q, want %q", name, certificate.Subject.CommonName, want)
		}
	}
	// What is put right is used without anybody's help, and said once only.
	r.secret(certificateFor(t, "missing", later, "missing.example"))
	await(t, "the certificate that was missing", func() bool {
		certificate, _ := r.shown("missing.example")
		return certificate.Subject.CommonName == "missing"
	})
	events := slices.DeleteFunc(r.events(), func(event string) bool { return !strings.Contains(event, "BadCertificate") })
	if len(events) != 5 {
		t.Errorf("%d events: %q", len(events), events)
	}
}
