// Package oauthtest tests programs against token services: a strict one that can be told to fail, a scripted token
// source, and a search for secrets that leaked.
//
// Use this when your code asks for tokens, or takes a token source, and you want to see what it does when the token
// service is slow, down, lying or gone, without writing another fake:
//
//   - your code speaks to a token URL: [NewServer], then [Server.Inject]; [Server.Protect] makes a receiver that
//     accepts the server's live tokens only.
//   - your code has users authorize it in a browser: [Server.AuthURL], where whoever comes consents at once, unless it is
//     told to [Deny]; [Server.Reuses] tells whether a refresh token was spent twice.
//   - your code takes an [outgrant.TokenSource]: a [Source], with what it shall answer.
//   - your code prints or logs: [AssertNoSecrets].
//
// The server is strict: it refuses what RFC 6749, 7523, 7636, 8705 and 8707 forbid, also where real token services
// are lenient, so that what passes here passes there. It keeps everything in memory.
//
// A program that tests with this package links no testing package by it: [TB] is all that it asks for.
package oauthtest
