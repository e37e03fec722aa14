package peer

import "testing"

// SOAPReceiver is a receiver of SOAP in the manner of SuccessFactors, in a process of its own, with TLS.
type SOAPReceiver struct {
	URL string // without the path, /sfapi/v1/soap

	*process
}

// StartSOAPReceiver starts a receiver of the PKI of s, which accepts the tokens that s calls active. It ends with the test.
func StartSOAPReceiver(tb testing.TB, s *AuthServer) *SOAPReceiver {
	tb.Helper()
	in, certificate, r := s.Introspection(), s.PKI.Server(tb), &SOAPReceiver{}
	r.process, r.URL = startNode(tb, "soap", map[string]any{
		"tls":           map[string]string{"key": KeyPEM(tb, certificate), "cert": ChainPEM(certificate)},
		"introspection": map[string]string{"url": in.URL, "id": in.ClientID, "secret": in.Secret, "ca": ChainPEM(s.PKI.Root)},
	})
	return r
}
