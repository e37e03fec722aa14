package adapters_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
)

type usersMap map[string]outgrant.TokenSource

func (u usersMap) ForUser(user string) outgrant.TokenSource { return u[user] }

func TestSourceFor(t *testing.T) {
	t.Parallel()
	src := outgrant.StaticToken("access")
	var name string
	var failure error
	user := func(*http.Request) (string, error) { return name, failure }
	for _, s := range []adapters.Sources{{}, {Source: src, User: user}, {Users: usersMap{}}, {Source: src, Users: usersMap{}, User: user}} {
		_, err := adapters.HTTP.SourceFor(s)
		require.Error(t, err)
	}
	_, err := adapters.HTTP.SourceFor(adapters.Sources{Source: described{src, outgrant.Social}})
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	_, err = adapters.HTTP.SourceFor(adapters.Sources{Users: describedUsers{users{}, described{src, outgrant.Social}}, User: user})
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)

	find, err := adapters.HTTP.SourceFor(adapters.Sources{Source: described{src, outgrant.Social}, AnyGrant: true})
	require.NoError(t, err)
	got, found, err := find(nil)
	require.NoError(t, err)
	require.Empty(t, got)
	require.NotNil(t, found)

	find, err = adapters.HTTP.SourceFor(adapters.Sources{Users: usersMap{"alice": src, "eve": described{src, outgrant.Social}, "": src}, User: user})
	require.NoError(t, err)
	for user, want := range map[string]string{"alice": "", "": "needs a user", "eve": "social", "nobody": "no token source for this user", strings.Repeat("x", 1025): "1025 bytes"} {
		name = user
		got, found, err := find(nil)
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, user, got)
			require.NotNil(t, found)
			continue
		}
		require.Error(t, err, user)
		if user == "" {
			require.ErrorIs(t, err, outgrant.ErrUserRequired)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	name, failure = "alice", errors.New("no login")
	_, _, err = find(nil)
	require.ErrorIs(t, err, failure)
}
