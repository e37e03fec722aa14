package keypair_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/keypair"
)

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	leaf, intermediate, root := family(t)

	_, err := keypair.Join(certsOf(leaf), nil)
	require.ErrorContains(t, err, "no private key")
	_, err = keypair.Join(nil, leaf.key)
	require.ErrorContains(t, err, "no certificate")
	_, err = keypair.Join(certsOf(root, intermediate, leaf), ecKey(t))
	require.ErrorContains(t, err, "the private key does not belong to the certificate CN=sb-1")
	_, err = keypair.Join(certsOf(leaf), rsaKey(t))
	require.ErrorContains(t, err, "the private key does not belong to the certificate CN=sb-1")
	_, err = keypair.WithoutKey(nil)
	require.ErrorContains(t, err, "no certificate")
}

func TestJoinOrders(t *testing.T) {
	t.Parallel()
	leaf, intermediate, root := family(t)
	stranger := issue(t, "stranger", ecKey(t), nil, true)
	impostor := issue(t, "Acme Issuing", ecKey(t), root, true) // the issuer's name with another key
	crossed := issue(t, "Acme Root", root.key, stranger, true) // the root's name and key, issued by another
	renewed := issue(t, "sb-1", leaf.key, intermediate, false)
	alone := issue(t, "alone", ecKey(t), nil, false)

	for name, test := range map[string]struct {
		certs, want []*pair
	}{
		"in order":             {[]*pair{leaf, intermediate, root}, []*pair{leaf, intermediate, root}},
		"root first":           {[]*pair{root, intermediate, leaf}, []*pair{leaf, intermediate, root}},
		"leaf between":         {[]*pair{intermediate, leaf, root}, []*pair{leaf, intermediate, root}},
		"without root":         {[]*pair{intermediate, leaf}, []*pair{leaf, intermediate}},
		"gap":                  {[]*pair{leaf, root}, []*pair{leaf}},
		"duplicates":           {[]*pair{leaf, leaf, root, intermediate, root, leaf, intermediate}, []*pair{leaf, intermediate, root}},
		"stranger":             {[]*pair{stranger, leaf, intermediate}, []*pair{leaf, intermediate}},
		"impostor first":       {[]*pair{impostor, leaf, intermediate, root}, []*pair{leaf, intermediate, root}},
		"impostor only":        {[]*pair{impostor, leaf, root}, []*pair{leaf}},
		"nothing above a root": {[]*pair{leaf, intermediate, root, crossed, stranger}, []*pair{leaf, intermediate, root}},
		"first of two":         {[]*pair{renewed, leaf, intermediate}, []*pair{renewed, intermediate}},
		"self-signed":          {[]*pair{alone}, []*pair{alone}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := test.want[0].key
			got, err := keypair.Join(certsOf(test.certs...), key)
			require.NoError(t, err)
			require.Equal(t, ders(test.want...), got.Certificate)
			require.Equal(t, test.want[0].cert, got.Leaf)
			require.Equal(t, key, got.PrivateKey)
			require.NoError(t, keypair.Check(got, now))
		})
	}
}

func TestWithoutKeyFindsTheLeaf(t *testing.T) {
	t.Parallel()
	leaf, intermediate, root := family(t)
	alone, stranger := issue(t, "alone", ecKey(t), nil, false), issue(t, "stranger", ecKey(t), nil, true)
	for name, test := range map[string]struct{ certs, want []*pair }{
		"stranger first": {[]*pair{stranger, leaf, intermediate}, []*pair{leaf, intermediate}},
		"in order":       {[]*pair{leaf, intermediate, root}, []*pair{leaf, intermediate, root}},
		"root first":     {[]*pair{root, intermediate, leaf}, []*pair{leaf, intermediate, root}},
		"duplicates":     {[]*pair{intermediate, leaf, leaf, intermediate}, []*pair{leaf, intermediate}},
		"self-signed":    {[]*pair{alone, alone}, []*pair{alone}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := keypair.WithoutKey(certsOf(test.certs...))
			require.NoError(t, err)
			require.Equal(t, ders(test.want...), got.Certificate)
			require.Equal(t, test.want[0].cert, got.Leaf)
			require.Nil(t, got.PrivateKey)
		})
	}
}

// Two that issued each other have no end; the chain must.
func TestJoinEndsInACircle(t *testing.T) {
	t.Parallel()
	rootA, rootB := issue(t, "A", ecKey(t), nil, true), issue(t, "B", ecKey(t), nil, true)
	aByB, bByA := issue(t, "A", rootA.key, rootB, true), issue(t, "B", rootB.key, rootA, true)
	got, err := keypair.Join(certsOf(bByA, aByB), rootA.key)
	require.NoError(t, err)
	require.Equal(t, ders(aByB, bByA), got.Certificate)
	got, err = keypair.WithoutKey(certsOf(bByA, aByB))
	require.NoError(t, err)
	require.Equal(t, ders(bByA, aByB), got.Certificate)
}

func TestLeaf(t *testing.T) {
	t.Parallel()
	leaf, intermediate, _ := family(t)

	_, err := keypair.Leaf(nil)
	require.ErrorContains(t, err, "no certificate")
	_, err = keypair.Leaf(&tls.Certificate{Certificate: [][]byte{[]byte("no DER")}})
	require.ErrorContains(t, err, "cannot read the certificate")

	for name, set := range map[string]*x509.Certificate{"unset": nil, "set": leaf.cert, "set to another": intermediate.cert} {
		got, err := keypair.Leaf(&tls.Certificate{Certificate: ders(leaf), Leaf: set})
		require.NoError(t, err, name)
		require.True(t, leaf.cert.Equal(got), name)
	}
}

func TestNamesInErrorsArePrintableAndShort(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		subject pkix.Name
		want    string
	}{
		"no subject":   {pkix.Name{}, "the certificate without a subject:"},
		"no CN":        {pkix.Name{Organization: []string{"Acme"}}, "the certificate O=Acme:"},
		"line breaks":  {pkix.Name{CommonName: "sb-1\nINFO fine"}, "CN=sb-1?INFO fine:"},
		"far too long": {pkix.Name{CommonName: strings.Repeat("x", 5000)}, "CN=" + strings.Repeat("x", 97) + "...:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := issueFor(t, &x509.Certificate{Subject: test.subject, NotBefore: now, NotAfter: now}, ecKey(t), nil)
			_, err := keypair.Join(certsOf(p), ecKey(t))
			require.ErrorContains(t, err, test.want)
		})
	}
}
