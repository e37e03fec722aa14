package samlbearer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/samlbearer"
)

// TestSignerAttributesAreSorted, so that two assertions for the same user can be compared.
func TestSignerAttributesAreSorted(t *testing.T) {
	t.Parallel()
	s := signer()
	s.Attributes = map[string][]string{}
	for _, name := range strings.Split("hgfedcbazyx", "") {
		s.Attributes[name] = []string{"2", "1"}
	}
	assertion, err := s.Assertion(t.Context(), "alice")
	require.NoError(t, err)
	var names string
	for _, a := range readAssertion(t, assertion, signingKey.Public()).Attributes {
		names += a.Name
		require.Equal(t, []string{"2", "1"}, a.Values, "values stay as they are")
	}
	require.Equal(t, "abcdefghxyz", names)
}

func TestAttributesFor(t *testing.T) {
	t.Parallel()
	fixed := map[string][]string{"mail": {"nobody@acme.example"}, "company": {"ACME"}}
	own := map[string]map[string][]string{
		"alice": {"mail": {"alice@acme.example"}, "Groups": {"admins", "users"}},
		"bob":   {"mail": nil},
		"carol": nil,
	}
	s := signer()
	s.AttributesFor = func(_ context.Context, user string) (map[string][]string, error) { return own[user], nil }
	for _, with := range []map[string][]string{fixed, nil} {
		s.Attributes = with
		for user, want := range map[string]map[string][]string{
			"alice": {"mail": {"alice@acme.example"}, "Groups": {"admins", "users"}, "company": {"ACME"}},
			"bob":   {"company": {"ACME"}},
			"carol": {"mail": {"nobody@acme.example"}, "company": {"ACME"}},
		} {
			assertion, err := s.Assertion(t.Context(), user)
			require.NoError(t, err)
			got := readAssertion(t, assertion, signingKey.Public()).attributes()
			if with == nil {
				delete(want, "company")
				if user == "carol" {
					delete(want, "mail")
				}
			}
			require.Equal(t, want, got, user)
		}
	}
	require.Equal(t, map[string][]string{"mail": {"nobody@acme.example"}, "company": {"ACME"}}, fixed, "not changed")
	require.Equal(t, map[string][]string{"mail": {"alice@acme.example"}, "Groups": {"admins", "users"}}, own["alice"], "not changed")
	require.Nil(t, own["carol"])

	away := errors.New("the directory is away")
	s.AttributesFor = func(context.Context, string) (map[string][]string, error) { return nil, away }
	_, err := s.Assertion(t.Context(), "alice")
	require.ErrorIs(t, err, away)
	require.ErrorContains(t, err, "AttributesFor: ")

	s.AttributesFor = func(ctx context.Context, _ string) (map[string][]string, error) { <-ctx.Done(); return nil, ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Assertion(ctx, "alice")
	require.ErrorIs(t, err, context.Canceled)
}

// TestAttributesForInClient: of each user's own, with the context of the fetch, and bounded by its timeout.
func TestAttributesForInClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		cfg := config(server)
		cfg.Cache = &outgrant.CacheOptions{FetchTimeout: 3 * time.Second}
		cfg.Assertions = samlbearer.Signer{Key: signingKey, Certificate: signingCert, AttributesFor: func(ctx context.Context, user string) (map[string][]string, error) {
			if user == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return map[string][]string{"mail": {user + "@acme.example"}, "api_key": {"theirs"}}, nil
		}}
		client := newClient(t, cfg)
		for _, user := range []string{"alice", "bob"} {
			token(t, client, user)
			requests := server.Requests()
			r := readAssertion(t, sentAssertion(t, requests[len(requests)-1]), signingKey.Public())
			require.Equal(t, user, r.NameID.Text)
			require.Equal(t, map[string][]string{"mail": {user + "@acme.example"}, "api_key": {"theirs"}}, r.attributes())
		}
		began := time.Now()
		_, err := client.ForUser("slow").Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}
