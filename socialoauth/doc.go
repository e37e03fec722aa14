// Package socialoauth authorizes requests to Twitter (X) and Facebook, from keys or from secure parameters by alias.
//
// Use this when you call the X API as an account by OAuth 1.0a ([Twitter], [TwitterFrom]), or Facebook's Graph API with an
// access token and its appsecret_proof ([Facebook], [FacebookFrom]). Either is an [outgrant.Authorizer]: give it to
// [outgrant.Transport], or to adapters/twitter and adapters/facebook, which have the calls. To get a user's access token for
// X in the first place, use [NewThreeLegged]; to make a Facebook token last, [FacebookSource.LongLived].
//
// # Keys
//
// Keys are what people copy and paste. White space and line ends around one are taken off. A key that is missing, has white
// space or anything but printable ASCII inside, or is the printed form of a secret, is refused.
//
// # Secure parameters
//
// [TwitterFrom] and [FacebookFrom] read all secure parameters at once, so that an alias that does not exist is told there.
// They are read again for each request: a changed one counts from the next request on, without a restart. That costs a few
// reads of the store, which is little beside a call to these receivers. A key and its secret are two parameters: a request
// between their two changes has a pair that does not fit, and is refused.
//
// # Signatures
//
// RFC 5849 is implemented here, in some hundred lines. A library would be a requirement of everybody's, and the well-kept one
// that was looked at, dghubble/oauth1, signs one value alone of a parameter that is repeated. testdata holds what the
// signatures were compared with: the RFC's and Twitter's examples, and the signatures of two other implementations.
package socialoauth
