package peer

import "testing"

// ODataReceiver is a receiver of OData V4 and V2 made with SAP CAP, in a process of its own. The services are catalog and
// admin, which needs the role odata.write, below /odata/v4/ and /odata/v2/.
type ODataReceiver struct {
	URL string

	*process
}

// StartODataReceiver starts a receiver, which accepts the tokens that s makes for the XSUAA application. It ends with the
// test.
func StartODataReceiver(tb testing.TB, s *AuthServer, application string) *ODataReceiver {
	tb.Helper()
	r := &ODataReceiver{}
	r.process, r.URL = startNode(tb, "odata", map[string]any{
		"auth": map[string]string{"url": s.Issuer, "clientid": "sb-" + application, "xsappname": application, "ca": ChainPEM(s.PKI.Root)},
	})
	return r
}
