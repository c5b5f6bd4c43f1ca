package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// certificates are what the front shows, by what clients ask for (SNI). It does
// not change once it is made.
type certificates struct {
	// byHost has wildcards as they are written: "*.example.com".
	byHost map[string]*tls.Certificate
	// other is for every other name: the first that was given without any
	// host; nil for a self-made one.
	other *tls.Certificate
}

// find chooses a certificate. A name that has none gets a self-made one, as
// from other front servers: the client says what is wrong, and whoever ignores
// that can see the program all the same.
func (c *certificates) find(name string) (*tls.Certificate, error) {
	name = plainHost(name)
	if found := c.byHost[name]; found != nil {
		return found, nil
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if found := c.byHost["*."+parent]; found != nil {
			return found, nil
		}
	}
	if c.other != nil {
		return c.other, nil
	}
	return selfMade()
}

// secretSource finds a Secret; it is false while it is not known yet whether
// there is one.
type secretSource func(namespace, name string) (secret *corev1.Secret, known bool)

// newCertificates takes the certificates of some Ingresses, the oldest first,
// and says which cannot be used.
func newCertificates(ingresses []*networkingv1.Ingress, secrets secretSource, now time.Time) (*certificates, []Problem) {
	c := &certificates{byHost: map[string]*tls.Certificate{}}
	var problems []Problem
	for _, ingress := range ingresses {
		for i := range ingress.Spec.TLS {
			section := &ingress.Spec.TLS[i]
			if section.SecretName == "" {
				continue // the self-made one is asked for
			}
			secret, known := secrets(ingress.Namespace, section.SecretName)
			if !known {
				continue
			}
			hosts := hostsOf(ingress, section)
			certificate, err := parseCertificate(secret, hosts, now)
			if err != nil {
				message := fmt.Sprintf("Secret %s/%s: %v", ingress.Namespace, section.SecretName, err)
				if certificate == nil {
					message += "; clients are shown a self-made certificate"
				}
				problems = append(problems, Problem{Ingress: ingress, Reason: "BadCertificate", Message: message})
			}
			if certificate != nil {
				c.add(hosts, certificate)
			}
		}
	}
	return c, problems
}

// hostsOf are the names that a certificate is for: those it is listed with, or
// else those of the rules.
func hostsOf(ingress *networkingv1.Ingress, section *networkingv1.IngressTLS) []string {
	hosts := section.Hosts
	if len(hosts) == 0 {
		for _, rule := range ingress.Spec.Rules {
			if rule.Host != "" {
				hosts = append(hosts, rule.Host)
			}
		}
	}
	return hosts
}

func (c *certificates) add(hosts []string, certificate *tls.Certificate) {
	for _, host := range hosts {
		if c.byHost[host] == nil {
			c.byHost[host] = certificate
		}
	}
	if len(hosts) == 0 && c.other == nil {
		c.other = certificate
	}
}

// parseCertificate reads a Secret. A certificate that is for others or out of
// date is shown all the same, with an error that says so.
func parseCertificate(secret *corev1.Secret, hosts []string, now time.Time) (*tls.Certificate, error) {
	if secret == nil {
		return nil, fmt.Errorf("it does not exist")
	}
	for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secret.Data[name]) == 0 {
			return nil, fmt.Errorf("it has no %s", name)
		}
	}
	certificate, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("its certificate and key cannot be used: %w", err)
	}
	for _, host := range hosts {
		if err := certificate.Leaf.VerifyHostname(strings.Replace(host, "*.", "wildcard.", 1)); err != nil {
			return &certificate, fmt.Errorf("its certificate is not for %q: clients will refuse it", host)
		}
	}
	if now.After(certificate.Leaf.NotAfter) {
		return &certificate, fmt.Errorf("its certificate was good until %s only", certificate.Leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return &certificate, nil
}

// selfMadeLife is long: nobody relies on it.
const selfMadeLife = 10 * 365 * 24 * time.Hour

// selfMade makes the certificate for names that have none when the first is
// asked for.
var selfMade = sync.OnceValues(func() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Coxswain"}, CommonName: "self-made certificate of the Ingress front"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(selfMadeLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"ingress.coxswain.invalid"},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}, nil
})
