package tokens

import "time"

// Issuer is the issuer of every token, and the audience of those meant for
// this API.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// Claims is what a token says. The names are those of Kubernetes' tokens.
type Claims struct {
	Audience   []string `json:"aud"`
	Expiry     int64    `json:"exp"` // seconds since 1970
	IssuedAt   int64    `json:"iat"`
	Issuer     string   `json:"iss"`
	ID         string   `json:"jti,omitempty"`
	Kubernetes Bound    `json:"kubernetes.io"`
	NotBefore  int64    `json:"nbf"`
	Subject    string   `json:"sub"`
}

// Bound names what a token belongs to.
type Bound struct {
	Namespace      string `json:"namespace,omitempty"`
	Node           *Ref   `json:"node,omitempty"`
	Pod            *Ref   `json:"pod,omitempty"`
	Secret         *Ref   `json:"secret,omitempty"`
	ServiceAccount Ref    `json:"serviceaccount"`
	// WarnAfter is when a client should have fetched a new token; past it
	// and before exp the token still works.
	WarnAfter int64 `json:"warnafter,omitempty"`
}

// Ref is an object by name and UID.
type Ref struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// clockSkew is how far two clocks may differ.
const clockSkew = time.Minute

func (c *Claims) expired(now time.Time) bool {
	return now.After(time.Unix(c.Expiry, 0).Add(clockSkew))
}

func (c *Claims) premature(now time.Time) bool {
	return now.Before(time.Unix(c.NotBefore, 0).Add(-clockSkew))
}
