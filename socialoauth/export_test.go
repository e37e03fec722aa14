package socialoauth

import (
	"context"
	"net/http"

	"github.com/outgrant/outgrant"
)

// Param is a parameter of the protocol.
type Param = parameter

// NewParam returns one.
func NewParam(name, value string) Param { return Param{name, value} }

// SignAs signs a request with all parameters of the protocol given, as vectors have them.
func SignAs(ctx context.Context, req *http.Request, consumerSecret, tokenSecret string, method SignatureMethod, protocol []Param) error {
	return twitterKeys{consumerSecret: outgrant.Secret(consumerSecret), tokenSecret: outgrant.Secret(tokenSecret), method: method}.signAs(ctx, req, protocol)
}

// BaseString is baseString.
func BaseString(req *http.Request, protocol []Param, form string) ([]byte, error) {
	return baseString(req, protocol, form)
}
