// Package tokens signs and checks the tokens of service accounts: JSON web
// tokens signed with ES256 and one key, and no other kind. Algorithm, key and
// issuer are fixed, so that nothing in a token chooses how it is checked.
//
// A token lives as long as what it is bound to: its service account, and the
// Pod, Secret or Node named in it, all by UID.
package tokens
