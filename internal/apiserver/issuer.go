package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"

	"coxswain.dev/cox/internal/apiserver/tokens"
)

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/openid/v1/jwks"
)

// serveIssuer publishes how service account tokens can be checked by others.
func (s *Server) serveIssuer() error {
	keys, err := s.key.JWKS()
	if err != nil {
		return fmt.Errorf("publishing the key of the service accounts: %w", err)
	}
	discovery, err := json.Marshal(map[string]any{
		"issuer":                                tokens.Issuer,
		"jwks_uri":                              tokens.Issuer + keysPath,
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
	if err != nil {
		return fmt.Errorf("publishing the issuer of the service accounts' tokens: %w", err)
	}
	paths := s.generic.Handler.NonGoRestfulMux
	paths.Handle(discoveryPath, document("application/json", discovery))
	paths.Handle(keysPath, document("application/jwk-set+json", keys))
	return nil
}

func document(contentType string, content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Write(content)
	})
}
