// Package inprocess lets code in this process call the API server without TCP,
// TLS, tokens or a rate limit.
//
// A Transport is an http.RoundTripper that calls the server's handler, so that
// authorization, admission and everything else happen as for any client. Who
// calls is said in the request's context, under a key that only this package
// has: no header, certificate or token of an outside request can set it.
package inprocess
