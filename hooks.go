package outgrant

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Hooks are called as things happen to a credential: for logs, metrics and traces. Any may be nil.
// They may be called from several goroutines at once. No event holds a secret.
type Hooks struct {
	// FetchStart is called on the fetching goroutine before the token service is asked. Callers
	// without a valid token wait for it too, so it must be quick and must not ask the same source.
	FetchStart func(FetchEvent)

	// FetchDone is called on the fetching goroutine after the result is visible to callers.
	FetchDone func(FetchEvent)

	// Invalidated is called on the caller's goroutine when a token that a receiver rejected is dropped,
	// or kept because too many were dropped lately.
	Invalidated func(InvalidateEvent)

	// AuthorizationChanged is called when something happened to what a user authorized, or to its refresh token
	// (authorization code). It is called after that was stored, or could not be; it must be quick.
	AuthorizationChanged func(AuthorizationEvent)

	// CertificateEnding is called when a certificate is used that will end soon, to authenticate the client or
	// to sign an assertion: within 30 days, or a fifth of its life if that is shorter.
	CertificateEnding func(CertificateEvent)
}

// FetchEvent is one request for a token.
type FetchEvent struct {
	Credential
	Trigger     context.Context // of the call that caused the fetch, for span links only: it may have ended
	Background  bool            // a valid token was served meanwhile
	Duration    time.Duration   // FetchDone only, like all below
	Expiry      time.Time       // of the token that came; zero: unknown
	SameToken   bool            // the token service handed the same token back
	Err         error           // nil: a token came
	NextAttempt time.Time       // after a failure: no request before it
}

// hiddenContext is a context whose values are not printed, as fmt does not look into a function.
type hiddenContext func() context.Context

func (c hiddenContext) Deadline() (time.Time, bool) { return c().Deadline() }
func (c hiddenContext) Done() <-chan struct{}       { return c().Done() }
func (c hiddenContext) Err() error                  { return c().Err() }
func (c hiddenContext) Value(key any) any           { return c().Value(key) }

func (e FetchEvent) String() string {
	s := "fetch of a token for " + e.Credential.text()
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s failed after %s: %v", s, e.Duration, e.Err)
	case e.Duration > 0:
		return fmt.Sprintf("%s took %s", s, e.Duration)
	}
	return s + " started"
}

// Format prints what happened, without the trigger's values, for every verb and flag.
func (e FetchEvent) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue logs what happened, without the trigger's values.
func (e FetchEvent) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON encodes what happened, without the trigger's values.
func (e FetchEvent) MarshalJSON() ([]byte, error) { return json.Marshal(e.String()) }

// InvalidateEvent is a token that a receiver rejected.
type InvalidateEvent struct {
	Credential
	Kept bool // it stays for now: too many tokens were rejected lately, or the token service is away
}

// CertificateEvent is a certificate of the credential that will end soon.
type CertificateEvent struct {
	Credential
	Subject  string
	NotAfter time.Time
}

// AuthorizationChange says what happened to a user's authorization.
type AuthorizationChange string

const (
	Authorized     AuthorizationChange = "authorized"      // a user consented
	Refreshed      AuthorizationChange = "refreshed"       // the refresh token was used; its successor, if one came, is stored
	OutcomeUnknown AuthorizationChange = "outcome unknown" // the refresh token was sent and no full answer came: it will be tried again
	NotStored      AuthorizationChange = "not stored"      // a new refresh token could not be stored yet: it is kept in memory, and storing is tried again
	Superseded     AuthorizationChange = "superseded"      // a refresh ended after the authorization had been replaced or deleted: the stored state stays
	Unauthorized   AuthorizationChange = "unauthorized"    // the token service refused the refresh token: a user has to authorize again
	Revoked        AuthorizationChange = "revoked"         // a refresh token was revoked, or, with Err, could not be
	SharedClient   AuthorizationChange = "shared client"   // two credentials have the same client and user: where a provider keeps one refresh token for both, each ends the other's
)

// AuthorizationEvent is something that happened to a user's authorization.
type AuthorizationEvent struct {
	Credential
	Change AuthorizationChange
	Err    error // the cause, if it is bad news; nil otherwise
}

func (e AuthorizationEvent) String() string {
	s := fmt.Sprintf("authorization of %s: %s", e.Credential.text(), e.Change)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Format prints what happened, for every verb and flag.
func (e AuthorizationEvent) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue logs what happened.
func (e AuthorizationEvent) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON encodes what happened.
func (e AuthorizationEvent) MarshalJSON() ([]byte, error) { return json.Marshal(e.String()) }
