// Package adapters says which receiver takes which grant.
//
// Use this when you write an adapter of your own, or want to check a credential before it is used: [Adapter.Grants] is
// SAP Cloud Integration's matrix, and [Adapter.Check] holds it. To call a receiver use the packages below this one.
package adapters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
)

// Adapter is a kind of receiver, by the name that SAP's receiver adapter has.
type Adapter string

// The receiver adapters that take OAuth credentials.
const (
	AMQP                Adapter = "AMQP over WebSocket"
	Facebook            Adapter = "Facebook"
	HTTP                Adapter = "HTTP"
	Mail                Adapter = "Mail"
	ODataV2             Adapter = "OData V2"
	ODataV4             Adapter = "OData V4"
	SuccessFactorsOData Adapter = "SuccessFactors OData V2"
	SuccessFactorsSOAP  Adapter = "SuccessFactors SOAP"
	Twitter             Adapter = "Twitter"
)

var matrix = map[Adapter][]outgrant.Grant{
	AMQP:                {outgrant.ClientCredentials},
	Facebook:            {outgrant.Social},
	HTTP:                {outgrant.ClientCredentials, outgrant.SAMLBearer},
	Mail:                {outgrant.AuthorizationCode},
	ODataV2:             {outgrant.ClientCredentials, outgrant.SAMLBearer},
	ODataV4:             {outgrant.ClientCredentials},
	SuccessFactorsOData: {outgrant.SAMLBearer},
	SuccessFactorsSOAP:  {outgrant.SAMLBearer},
	Twitter:             {outgrant.Social},
}

// All returns every adapter, sorted by name.
func All() []Adapter {
	all := make([]Adapter, 0, len(matrix))
	for a := range matrix {
		all = append(all, a)
	}
	slices.Sort(all)
	return all
}

// Grants returns the grants that the adapter takes; nil for an adapter that is not in the matrix. The slice is a copy.
func (a Adapter) Grants() []outgrant.Grant { return slices.Clone(matrix[a]) }

// Check returns an error that matches [outgrant.ErrUnsupportedGrant] and lists the grants that are taken, if the grant of
// src is known and not one of them. A source that does not say its grant is not checked, nor is any if anyGrant is true.
func (a Adapter) Check(src outgrant.TokenSource, anyGrant bool) error {
	return a.check(outgrant.GrantOf(src), anyGrant)
}

// CheckUsers is Check for a user source that says its grant (an [outgrant.Describer], such as *samlbearer.Client). One
// that does not is not checked; the sources that it has for users can be, by Check.
func (a Adapter) CheckUsers(users outgrant.UserSource, anyGrant bool) error {
	if d, ok := users.(outgrant.Describer); ok {
		return a.check(d.Describe().Grant, anyGrant)
	}
	return nil
}

func (a Adapter) check(grant outgrant.Grant, anyGrant bool) error {
	if grant == "" || anyGrant || slices.Contains(matrix[a], grant) {
		return nil
	}
	taken := make([]string, len(matrix[a]))
	for i, g := range matrix[a] {
		taken[i] = string(g)
	}
	return fmt.Errorf("%w: the %s adapter takes %s, not %s; set AnyGrant to use it all the same",
		outgrant.ErrUnsupportedGrant, a, strings.Join(taken, " and "), grant)
}
