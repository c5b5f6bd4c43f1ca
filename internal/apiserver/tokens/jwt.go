package tokens

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

const (
	algorithm = "ES256"
	// halfSize is the length of r and of s in a signature on P-256.
	halfSize = 32
	// tokenLimit bounds what is parsed at all.
	tokenLimit = 16 << 10
)

// errForeign means that a token is not one of ours: somebody else may know it.
var errForeign = errors.New("not a token of this issuer")

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// Key signs and checks tokens.
type Key struct {
	private *ecdsa.PrivateKey
	id      string
}

// NewKey wraps a key on P-256. Its identifier is derived from its public half.
func NewKey(private *ecdsa.PrivateKey) (*Key, error) {
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the key of the service accounts: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Key{private, base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

// Sign returns the token for claims.
func (k *Key) Sign(claims Claims) (string, error) {
	head, err := json.Marshal(header{algorithm, k.id})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := encode(head) + "." + encode(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 2*halfSize)
	r.FillBytes(signature[:halfSize])
	s.FillBytes(signature[halfSize:])
	return signed + "." + encode(signature), nil
}

// Verify returns what a token says if this key has signed it. Times are not
// looked at.
func (k *Key) Verify(token string) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(token) > tokenLimit || len(parts) != 3 {
		return nil, errForeign
	}
	var head header
	if err := decode(parts[0], &head); err != nil || head != (header{algorithm, k.id}) {
		return nil, errForeign
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 2*halfSize {
		return nil, errors.New("the token's signature is malformed")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:halfSize]), new(big.Int).SetBytes(signature[halfSize:])
	if !ecdsa.Verify(&k.private.PublicKey, sum[:], r, s) {
		return nil, errors.New("the token's signature is wrong")
	}
	claims := &Claims{}
	if err := decode(parts[1], claims); err != nil {
		return nil, errors.New("the token's claims are malformed")
	}
	return claims, nil
}

func encode(content []byte) string { return base64.RawURLEncoding.EncodeToString(content) }

func decode(part string, into any) error {
	content, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// JWKS is the public half in the form that /openid/v1/jwks serves.
func (k *Key) JWKS() ([]byte, error) {
	point, err := k.private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	// Uncompressed: 0x04, x, y.
	x, y := point[1:1+halfSize], point[1+halfSize:]
	return json.Marshal(map[string]any{"keys": []map[string]string{{
		"use": "sig", "kty": "EC", "kid": k.id, "crv": "P-256", "alg": algorithm, "x": encode(x), "y": encode(y)}}})
}
