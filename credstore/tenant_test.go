package credstore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestTenantThatCannotBe(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		for id, why := range map[string]string{
			"a\x00b":                  "has a NUL",
			"a\xff":                   "is not valid UTF-8",
			strings.Repeat("x", 1025): "has 1025 bytes",
		} {
			s := p.open(t).Tenant(id)
			_, listErr := s.List(t.Context())
			for name, err := range map[string]error{
				"Deploy": s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")), "Undeploy": s.Undeploy(t.Context(), "S4_ORDERS"),
				"List": listErr, "Info": errOf(s.Info(t.Context(), "S4_ORDERS")),
				"TokenSource": errOf(s.TokenSource(t.Context(), "S4_ORDERS")), "Client": errOf(s.Client(t.Context(), "S4_ORDERS")),
			} {
				require.ErrorContains(t, err, "credstore: a tenant cannot be called that: the tenant of a record's key "+why, name)
				require.NotErrorIs(t, err, credstore.ErrNotFound, name)
			}
		}
		require.NoError(t, p.open(t).Tenant("a\n\u00e9/..").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
	})
}
