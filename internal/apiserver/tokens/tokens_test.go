package tokens

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticator"

	"coxswain.dev/cox/internal/registry/authentication"
)

// stored is a store of objects by "resource/namespace/name".
type stored map[string]metav1.Object

func (s stored) Get(_ context.Context, resource, namespace, name string) (metav1.Object, error) {
	obj, ok := s[resource+"/"+namespace+"/"+name]
	if !ok {
		return nil, errors.NewNotFound(schema.GroupResource{Resource: resource}, name)
	}
	return obj, nil
}

func object(namespace, name, uid string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid)}}
}

func newKey(t *testing.T) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func world() stored {
	return stored{
		"serviceaccounts/shop/clerk": object("shop", "clerk", "1"),
		"pods/shop/till":             object("shop", "till", "2"),
		"nodes//machine":             object("", "machine", "3"),
		"secrets/shop/safe":          object("shop", "safe", "4"),
	}
}

func sign(t *testing.T, key *Key, objects stored, change func(*authentication.Grant)) string {
	t.Helper()
	grant := authentication.Grant{ServiceAccount: objects["serviceaccounts/shop/clerk"], Audiences: []string{Issuer}, Lifetime: time.Hour}
	if change != nil {
		change(&grant)
	}
	token, err := (&Signer{Key: key, Objects: objects}).Sign(t.Context(), grant, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func toPod(objects stored) func(*authentication.Grant) {
	return func(g *authentication.Grant) {
		g.Bound, g.BoundKind, g.NodeName = objects["pods/shop/till"], "Pod", "machine"
	}
}

func TestTokenSaysWhoHoldsIt(t *testing.T) {
	key, objects := newKey(t), world()
	response, ok, err := (&Authenticator{key, objects}).AuthenticateToken(t.Context(), sign(t, key, objects, toPod(objects)))
	if err != nil || !ok {
		t.Fatalf("refused: %v", err)
	}
	if response.User.GetName() != "system:serviceaccount:shop:clerk" || response.User.GetUID() != "1" {
		t.Errorf("it is %v", response.User)
	}
	if got := strings.Join(response.User.GetGroups(), " "); got != "system:serviceaccounts system:serviceaccounts:shop" {
		t.Errorf("its groups are %s", got)
	}
	for key, want := range map[string]string{
		"authentication.kubernetes.io/pod-name": "till", "authentication.kubernetes.io/pod-uid": "2",
		"authentication.kubernetes.io/node-name": "machine", "authentication.kubernetes.io/node-uid": "3",
	} {
		if got := response.User.GetExtra()[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
}

func TestTokenEndsWithWhatItIsBoundTo(t *testing.T) {
	gone := func(name string) func(stored) { return func(s stored) { delete(s, name) } }
	replaced := func(name string) func(stored) {
		return func(s stored) { s[name] = object(s[name].GetNamespace(), s[name].GetName(), "9") }
	}
	deleted := func(name string, ago time.Duration) func(stored) {
		return func(s stored) {
			at := metav1.NewTime(time.Now().Add(-ago))
			s[name].(*corev1.Pod).DeletionTimestamp = &at
		}
	}
	for _, test := range []struct {
		name   string
		change func(stored)
		works  bool
	}{
		{"nothing happened", func(stored) {}, true},
		{"account gone", gone("serviceaccounts/shop/clerk"), false},
		{"account replaced", replaced("serviceaccounts/shop/clerk"), false},
		{"Pod gone", gone("pods/shop/till"), false},
		{"Pod replaced", replaced("pods/shop/till"), false},
		{"Pod being stopped", deleted("pods/shop/till", 10*time.Second), true},
		{"Pod stopped long ago", deleted("pods/shop/till", 2*time.Minute), false},
		{"the Pod's node gone", gone("nodes//machine"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, objects := newKey(t), world()
			token := sign(t, key, objects, toPod(objects))
			test.change(objects)
			_, ok, err := (&Authenticator{key, objects}).AuthenticateToken(t.Context(), token)
			if ok != test.works || (err == nil) != test.works {
				t.Errorf("ok=%t, %v", ok, err)
			}
		})
	}
}

func TestTokenOfASecretOrANodeEndsWithIt(t *testing.T) {
	for kind, name := range map[string]string{"Secret": "secrets/shop/safe", "Node": "nodes//machine"} {
		key, objects := newKey(t), world()
		token := sign(t, key, objects, func(g *authentication.Grant) { g.Bound, g.BoundKind = objects[name], kind })
		a := &Authenticator{key, objects}
		if _, ok, err := a.AuthenticateToken(t.Context(), token); !ok {
			t.Errorf("%s: %v", kind, err)
		}
		delete(objects, name)
		if _, ok, _ := a.AuthenticateToken(t.Context(), token); ok {
			t.Errorf("the token outlives its %s", kind)
		}
	}
}

func TestTokenWorksForItsAudiencesOnly(t *testing.T) {
	key, objects := newKey(t), world()
	token := sign(t, key, objects, func(g *authentication.Grant) { g.Audiences = []string{"vault"} })
	a := &Authenticator{key, objects}
	if _, ok, err := a.AuthenticateToken(t.Context(), token); ok || err == nil {
		t.Errorf("the API takes a token meant for vault: %v", err)
	}
	response, ok, err := a.AuthenticateToken(authenticator.WithAudiences(t.Context(), authenticator.Audiences{"vault", "other"}), token)
	if !ok || len(response.Audiences) != 1 || response.Audiences[0] != "vault" {
		t.Errorf("vault does not: %v, %v", response, err)
	}
}

func TestTokenHasItsTime(t *testing.T) {
	key, objects := newKey(t), world()
	for _, test := range []struct {
		name     string
		from, to time.Duration
		works    bool
	}{{"now", -time.Minute, time.Hour, true}, {"over", -2 * time.Hour, -time.Hour, false},
		{"just over, clocks differ", -time.Hour, -10 * time.Second, true}, {"to come", time.Hour, 2 * time.Hour, false}} {
		now := time.Now()
		token, err := key.Sign(Claims{Issuer: Issuer, Audience: []string{Issuer}, Subject: "system:serviceaccount:shop:clerk",
			NotBefore: now.Add(test.from).Unix(), Expiry: now.Add(test.to).Unix(),
			Kubernetes: Bound{Namespace: "shop", ServiceAccount: Ref{"clerk", "1"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := (&Authenticator{key, objects}).AuthenticateToken(t.Context(), token); ok != test.works {
			t.Errorf("%s: ok=%t, %v", test.name, ok, err)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	key, objects := newKey(t), world()
	genuine := strings.Split(sign(t, key, objects, nil), ".")
	part := func(content any) string {
		encoded, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		return encode(encoded)
	}
	claims := Claims{Issuer: Issuer, Audience: []string{Issuer}, Expiry: time.Now().Add(time.Hour).Unix(),
		Subject: "system:serviceaccount:kube-system:root", Kubernetes: Bound{Namespace: "shop", ServiceAccount: Ref{"clerk", "1"}}}
	differing, err := key.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	claims.Issuer = "https://elsewhere"
	elsewhere, err := key.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":               "",
		"one part":            "abc",
		"no signature":        genuine[0] + "." + genuine[1] + ".",
		"algorithm none":      part(header{"none", key.id}) + "." + genuine[1] + ".",
		"algorithm HS256":     part(header{"HS256", key.id}) + "." + genuine[1] + "." + genuine[2],
		"another key's":       sign(t, newKey(t), objects, nil),
		"other claims":        genuine[0] + "." + part(map[string]any{"sub": "system:admin"}) + "." + genuine[2],
		"zero signature":      genuine[0] + "." + genuine[1] + "." + encode(make([]byte, 2*halfSize)),
		"subject differs":     differing,
		"another issuer's":    elsewhere,
		"trailing part":       strings.Join(genuine, ".") + ".x",
		"enormous":            strings.Repeat("a", 1<<20),
		"signature too short": genuine[0] + "." + genuine[1] + "." + genuine[2][:20],
	} {
		if _, ok, _ := (&Authenticator{key, objects}).AuthenticateToken(t.Context(), token); ok {
			t.Errorf("a token with %s is taken", name)
		}
	}
}

func TestPublishedKeyIsTheOneInUse(t *testing.T) {
	key := newKey(t)
	published, err := key.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(published, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", published, err)
	}
	got := set.Keys[0]
	if got["kid"] != key.id || got["crv"] != "P-256" || got["alg"] != "ES256" || len(got["x"]) != 43 || len(got["y"]) != 43 {
		t.Errorf("got %v", got)
	}
	if got["d"] != "" {
		t.Error("the private half is published")
	}
}

func FuzzVerifyTakesNoForeignToken(f *testing.F) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	key, err := NewKey(private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.b.c")
	f.Add(encode([]byte(`{"alg":"ES256"}`)) + ".." + encode(make([]byte, 64)))
	f.Fuzz(func(t *testing.T, token string) {
		if claims, err := key.Verify(token); err == nil {
			t.Errorf("took %q: %v", token, claims)
		}
	})
}
