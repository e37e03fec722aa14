package adapters_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
)

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential { return outgrant.Credential{Grant: d.grant} }

type users struct{}

func (users) ForUser(string) outgrant.TokenSource { return nil }

type describedUsers struct {
	users
	outgrant.Describer
}

func TestCheck(t *testing.T) {
	t.Parallel()
	foreign := outgrant.StaticToken("access")
	for _, a := range adapters.All() {
		require.NoError(t, a.Check(foreign, false), "a foreign source is not checked")
		for _, g := range []outgrant.Grant{outgrant.ClientCredentials, outgrant.SAMLBearer, outgrant.AuthorizationCode, outgrant.Social} {
			src := outgrant.Cached(described{foreign, g}, nil)
			require.NoError(t, a.Check(src, true))
			err := a.Check(src, false)
			require.Equal(t, err, a.CheckUsers(describedUsers{users{}, src}, false))
			require.NoError(t, a.CheckUsers(describedUsers{users{}, src}, true))
			require.NoError(t, a.CheckUsers(users{}, false), "foreign users are not checked")
			if slices.Contains(a.Grants(), g) {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
			for _, taken := range a.Grants() {
				require.ErrorContains(t, err, string(taken))
			}
		}
	}
}

func TestGrantsAreCopies(t *testing.T) {
	t.Parallel()
	adapters.HTTP.Grants()[0] = "changed"
	require.Equal(t, outgrant.ClientCredentials, adapters.HTTP.Grants()[0])
	require.Nil(t, adapters.Adapter("Fax").Grants())
}

// TestREADME holds the table in the README to the matrix.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	columns := []outgrant.Grant{outgrant.ClientCredentials, outgrant.SAMLBearer, outgrant.AuthorizationCode, outgrant.Social}
	for _, a := range adapters.All() {
		_, row, found := strings.Cut(string(readme), "\n| "+string(a)+" |")
		require.True(t, found, "no row for %s", a)
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Split(row, "|")
		for i, g := range columns {
			require.Equal(t, slices.Contains(a.Grants(), g), strings.TrimSpace(cells[i]) != "", "%s by %s", a, g)
		}
	}
}
