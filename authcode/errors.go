package authcode

import "errors"

// Why an authorization in the browser did not succeed, to compare with by errors.Is. Where the provider refused, the error
// holds an [outgrant.TokenError], too; one that has a Code and no StatusCode is what it said in the browser.
var (
	// ErrNoAttempt: the callback belongs to no authorization that was started in this browser. Either a stranger made it,
	// or the browser has no cookie of the start, or the authorization was completed before.
	ErrNoAttempt = errors.New("no authorization that was started in this browser waits for this callback")
	// ErrExpired: the authorization took longer than ten minutes.
	ErrExpired = errors.New("the authorization took longer than ten minutes: start again")
	// ErrUsed: the callback came before.
	ErrUsed = errors.New("this callback came before, and counts once: see whether the credential is authorized, and start again if it is not")
	// ErrChanged: the credential is not the one any more that the user was asked about.
	ErrChanged = errors.New("the credential was changed while the user was asked: start again")
	// ErrDenied: the user did not consent, or the provider did not let them.
	ErrDenied = errors.New("the user did not consent, or may not")
	// ErrWrongIssuer: the answer is not of the provider that was asked (RFC 9207), or does not say so.
	ErrWrongIssuer = errors.New("the answer is not from the provider that was asked")
	// ErrWrongUser: another user than the credential's consented.
	ErrWrongUser = errors.New("another user consented than the one whom the credential is for")
)
