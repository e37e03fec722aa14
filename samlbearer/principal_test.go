package samlbearer_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/samlbearer"
)

func TestPrincipalFromClaims(t *testing.T) {
	t.Parallel()
	const (
		email       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
		unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
		persistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	)
	for name, test := range map[string]struct {
		claims       string
		userIDSource string
		format       string
		want         string
		wantErr      string
	}{
		"email format":                  {`{"email":"a@acme.example","user_name":"alice","sub":"1"}`, "", email, "a@acme.example", ""},
		"unspecified":                   {`{"email":"a@acme.example","user_name":"alice","sub":"1"}`, "", unspecified, "alice", ""},
		"no format":                     {`{"email":"a@acme.example","user_name":"alice","sub":"1"}`, "", "", "alice", ""},
		"source":                        {`{"mail":"m@acme.example","email":"a@acme.example","user_name":"alice"}`, "mail", email, "m@acme.example", ""},
		"source, unspecified":           {`{"mail":"m@acme.example","user_name":"alice"}`, "mail", unspecified, "m@acme.example", ""},
		"source, any format":            {`{"mail":"m@acme.example"}`, "mail", persistent, "m@acme.example", ""},
		"source not there, email":       {`{"email":"a@acme.example"}`, "mail", email, "a@acme.example", ""},
		"source not there, unspecified": {`{"user_name":"alice"}`, "mail", "", "alice", ""},
		"kept as it is":                 {`{"user_name":" Älice\u0000 "}`, "", "", " Älice\x00 ", ""},

		"other format's claim":             {`{"email":"S3NTINEL"}`, "", unspecified, "", "none of the claims"},
		"other format's claim, email":      {`{"user_name":"S3NTINEL"}`, "", email, "", "none of the claims"},
		"other case":                       {`{"User_Name":"S3NTINEL","USER_NAME":"S3NTINEL"}`, "", "", "", "none of the claims"},
		"source is nested":                 {`{"ext":{"mail":"S3NTINEL"}}`, "mail", email, "", "none of the claims"},
		"nothing":                          {`{}`, "", "", "", "none of the claims"},
		"nil":                              {`null`, "mail", email, "", `none of the claims ["mail" "email"]`},
		"only sub":                         {`{"sub":"S3NTINEL","client_id":"S3NTINEL"}`, "", email, "", "none of the claims"},
		"unknown format":                   {`{"email":"S3NTINEL","user_name":"S3NTINEL"}`, "", persistent, "", "set userIDSource"},
		"unknown format, source not there": {`{"email":"S3NTINEL","user_name":"S3NTINEL"}`, "mail", persistent, "", `none of the claims ["mail"]`},
		"a claim without a name":           {`{"":"S3NTINEL"}`, "", email, "", "none of the claims"},

		// A claim that is there counts, whatever it is.
		"empty":                  {`{"user_name":""}`, "", "", "", `"user_name" holds no user id`},
		"empty source":           {`{"mail":"","email":"S3NTINEL"}`, "mail", email, "", `"mail" holds no user id`},
		"null source":            {`{"mail":null,"email":"S3NTINEL"}`, "mail", email, "", `"mail" holds no user id`},
		"a list":                 {`{"mail":["S3NTINEL"],"email":"S3NTINEL"}`, "mail", email, "", `"mail" holds no user id`},
		"a number":               {`{"mail":7,"email":"S3NTINEL"}`, "mail", email, "", `"mail" holds no user id`},
		"an object":              {`{"mail":{"a":"S3NTINEL"}}`, "mail", email, "", `"mail" holds no user id`},
		"true":                   {`{"user_name":true}`, "", "", "", `"user_name" holds no user id`},
		"a list, by its default": {`{"email":["S3NTINEL"]}`, "mail", email, "", `"email" holds no user id`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var claims map[string]any
			require.NoError(t, json.Unmarshal([]byte(test.claims), &claims))
			got, err := samlbearer.PrincipalFromClaims(claims, test.userIDSource, test.format)
			require.Equal(t, test.want, got)
			if test.wantErr == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "samlbearer: ")
			require.ErrorContains(t, err, test.wantErr)
			require.Equal(t, strings.Contains(test.wantErr, "none of the claims"), errors.Is(err, outgrant.ErrUserRequired))
			require.NotContains(t, err.Error(), "S3NTINEL")
			require.NotContains(t, err.Error(), `""`, "no claim without a name")
		})
	}
	type text string
	_, err := samlbearer.PrincipalFromClaims(map[string]any{"user_name": text("alice")}, "", "")
	require.Error(t, err, "a text of JSON is a string")
}

// commonNames is a subject with several of them, or with odd ones.
func commonNames(values ...string) (name pkix.Name) {
	for _, v := range values {
		name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: v})
	}
	return name
}

func TestTechnicalUserOfCertificate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		subject  pkix.Name
		want     string
		wantsErr string
	}{
		"one":            {pkix.Name{CommonName: "TECH", Organization: []string{"Acme"}}, "TECH", ""},
		"odd":            {commonNames("Täch, User=1"), "Täch, User=1", ""},
		"none":           {pkix.Name{Organization: []string{"Acme"}}, "", "Certificate: its subject has no common name"},
		"two":            {commonNames("ALICE", "BOB"), "", "Certificate: its subject has 2 common names"},
		"the same twice": {commonNames("ALICE", "ALICE"), "", "Certificate: its subject has 2 common names"},
		"three":          {commonNames("A", "B", "C"), "", "Certificate: its subject has 3 common names"},
		"empty":          {commonNames(""), "", "Certificate: its subject has no common name"},
		"empty and one":  {commonNames("", "ALICE"), "", "Certificate: its subject has 2 common names"},
		"nothing":        {pkix.Name{}, "", "Certificate: its subject has no common name"},
	} {
		s := signer()
		s.Certificate = certify(signingKey, test.subject, longAgo, farAhead)
		got, err := s.TechnicalUser()
		require.Equal(t, test.want, got, name)
		if test.wantsErr == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, test.wantsErr, name)
			require.NotContains(t, err.Error(), "ALICE")
		}
	}
	_, err := samlbearer.Signer{Key: signingKey}.TechnicalUser()
	require.ErrorContains(t, err, "Certificate: missing")
}
