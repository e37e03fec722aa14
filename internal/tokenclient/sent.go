package tokenclient

import (
	"crypto/tls"
	"errors"
	"net"
)

// unsent is the cause of an error that came before anything was sent.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// WasSent reports whether the request of a failed [Client.Ask] may have reached the token service.
func WasSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	_, ok := errors.AsType[unsent](err)
	return !ok
}
