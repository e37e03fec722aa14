package amqp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	goamqp "github.com/Azure/go-amqp"
	"github.com/coder/websocket"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/withheld"
)

// Cause is why a connection or a link ended, or could not be made.
type Cause string

// The causes.
const (
	Auth    Cause = "auth"    // the token was refused, or has ended
	Network Cause = "network" // the broker cannot be reached
	Peer    Cause = "peer"    // the broker ended it for another reason
)

// ErrRedelivered says that a message cannot be settled: its connection is gone, and the broker delivers it again.
var ErrRedelivered = errors.New("the connection that the message came over is gone: the broker will deliver it again")

// errClosed: Close was called.
var errClosed = errors.New("amqp: the connection is closed")

// Error is about a connection or a link.
type Error struct {
	Host       string
	Credential string // the artifact's name, if any
	Cause      Cause
	Status     int    // of an answer to the WebSocket handshake; 0: none
	Condition  string // AMQP's error condition, such as amqp:unauthorized-access; "" if there is none
	Err        error
}

// Error names the broker and the credential, says what is wrong and what to do next.
func (e *Error) Error() string {
	text := "amqp: " + e.Host + ": "
	if e.Credential != "" {
		text += fmt.Sprintf("%q: ", e.Credential)
	}
	text += e.Err.Error()
	switch {
	case e.Cause == Auth && e.Status == http.StatusForbidden:
		text += "; check that the client has the broker's scopes"
	case e.Cause == Auth:
		text += "; check that the credential is one for this broker"
	case e.Status == http.StatusNotFound:
		text += "; check the path: at SAP Event Mesh it is /protocols/amqp10ws"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failure makes an error of what a library says, without the token.
func (o *opener) failure(err error, token string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*outgrant.TokenError](err); ok {
		return fmt.Errorf("amqp: no token for %s: %w", o.url.Host, e)
	}
	return &Error{Host: o.url.Host, Credential: o.name, Cause: causeOf(err), Condition: string(conditionOf(err)), Err: withheld.Secrets{token}.Error(err)}
}

func conditionOf(err error) goamqp.ErrCond {
	var remote *goamqp.Error
	if c, ok := errors.AsType[*goamqp.ConnError](err); ok {
		remote = c.RemoteErr
	} else if s, ok := errors.AsType[*goamqp.SessionError](err); ok {
		remote = s.RemoteErr
	} else if l, ok := errors.AsType[*goamqp.LinkError](err); ok {
		remote = l.RemoteErr
	} else if e, ok := errors.AsType[*goamqp.Error](err); ok {
		remote = e
	}
	if remote == nil {
		return ""
	}
	return remote.Condition
}

var (
	// saslRefused is what go-amqp says of SASL's outcome auth (code 1); others are the server's own trouble.
	saslRefused = regexp.MustCompile(`auth failed with code 0x0?1\b`)
	expired     = regexp.MustCompile(`(?i)token|expired|unauthori[sz]ed|credential`)
)

// causeOf tells why a connection or link ended.
func causeOf(err error) Cause {
	condition := conditionOf(err)
	text := err.Error()
	switch {
	case condition == goamqp.ErrCondUnauthorizedAccess, saslRefused.MatchString(text), websocket.CloseStatus(err) == websocket.StatusPolicyViolation:
		return Auth
	case condition == goamqp.ErrCondConnectionForced && expired.MatchString(text):
		return Auth
	case condition != "", websocket.CloseStatus(err) >= 0, strings.Contains(text, "auth failed with code"):
		return Peer
	}
	return Network
}

// refusesSecond reports whether a broker may refuse a second connection or link beside the first, and take it alone.
func refusesSecond(err error) bool {
	switch conditionOf(err) {
	case goamqp.ErrCondResourceLocked, goamqp.ErrCondResourceLimitExceeded, goamqp.ErrCondNotAllowed, goamqp.ErrCondConnectionForced:
		return true
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable)
}

// permanent reports whether a link that was refused for this would be refused again.
func permanent(err error) bool {
	switch conditionOf(err) {
	case goamqp.ErrCondNotFound, goamqp.ErrCondUnauthorizedAccess, goamqp.ErrCondNotImplemented, goamqp.ErrCondInvalidField:
		return true
	}
	return false
}

// broken reports whether a call failed because its link, session or connection is gone.
func broken(err error) bool {
	if _, ok := errors.AsType[*goamqp.ConnError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*goamqp.SessionError](err); ok {
		return true
	}
	_, ok := errors.AsType[*goamqp.LinkError](err)
	return ok
}

// ended returns the error of a call whose context has ended, or nil.
func ended(ctx context.Context, what string) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("amqp: the call ended while %s: %w", what, ctx.Err())
}
