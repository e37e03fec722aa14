package samltest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest/samltest"
)

// FuzzVerify changes assertions whose keys are gone. Whatever it does to one, it is refused, or says what was signed.
func FuzzVerify(f *testing.F) {
	const vector = "p256-sha256"
	all, cert := vectors(f), certificate(f, vector)
	signed, said := map[string]bool{}, []samltest.Assertion{}
	for name, text := range all {
		f.Add(text)
		if a, err := samltest.Verify([]byte(text), cert); err == nil {
			signed[name] = true
			a.HasCertificate = false // nobody signs that
			said = append(said, *a)
		}
	}
	require.True(f, signed[vector])
	for _, v := range c14nVectors(f) {
		f.Add(v.XML)
	}
	f.Add(plain().canonical())
	nobody := attacker().cert
	f.Fuzz(func(t *testing.T, text string) {
		_, err := samltest.Verify([]byte(text), nobody)
		require.Error(t, err)
		a, err := samltest.Verify([]byte(text), cert)
		if err != nil {
			require.Nil(t, a)
			return
		}
		a.HasCertificate = false
		require.Contains(t, said, *a)
	})
}
