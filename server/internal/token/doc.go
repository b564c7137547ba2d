// Package token issues and verifies the access tokens of the server: takes who a client is and what it was granted, gives a
// signed JWT; takes a token, gives the same back or an error. It never decides what may be granted (the catalog does), never
// speaks HTTP (rest does), and never puts a token or a key into an error.
//
// Tokens are JSON Web Tokens signed with Ed25519 ("alg":"EdDSA"), the only algorithm that is accepted. Ed25519 signatures
// cannot be changed into other valid ones, and decoding is strict, so every altered byte makes a token invalid. The claims:
//
//	iss                    Options.Issuer
//	sub                    Claims.PrincipalID, the client id
//	name                   Claims.PrincipalName
//	aud                    Claims.Audience, the resource that was asked for; absent without one
//	iat, exp               Claims.Issued, Claims.Expires: whole seconds
//	jti                    Claims.ID
//	authorization_details  Claims.Grants, as in the token request (RFC 9396)
//
// # Key file
//
// The key is made at the first start and kept in a file that only its owner may read, a JSON object:
//
//	{"version":1,"keys":[{"kid":"…","alg":"EdDSA","created":"…","private_key":"<PKCS #8, base64>"}]}
//
// The first key signs, all of them verify; kid stands in the header of each token. A key that is no longer the first verifies for
// [MaxLifetime] after the creation of the one before it, when its last token has expired. [Authority.Rotate] puts a new key first
// and removes those that are of no more use; by hand it works as well, with a restart.
//
// Concurrency: an [Authority] may be used by many goroutines. Failure: [Open] fails when the key file cannot be read, is damaged or
// can be read by others; it is then left as it is, never replaced.
package token
