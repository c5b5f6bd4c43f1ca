// Package pki keeps the certificate authority, the serving certificate and the
// service account keys of one installation in a directory.
//
// Everything is ECDSA on P-256: making a key takes microseconds where RSA takes
// most of a second, and every client of Kubernetes understands it. Files are
// made when they are missing, and a serving certificate that no longer fits
// (new addresses, soon to expire) is issued anew; nothing else is ever
// replaced, since clients have been given it.
package pki
