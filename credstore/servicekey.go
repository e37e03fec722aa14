package credstore

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
)

// ParseServiceKey makes artifacts of an SAP service key ([clientcredentials.ParseServiceKey]): a [ClientCredentials] of that
// name, which sends its secret in a header. A key with a certificate comes with a [KeyPair], whose name ends with
// -certificate. One with an external certificate lacks the private key: keyPairAlias is the name of the Key Pair artifact
// that has both then, and else "". At most 1 MiB; it refers to no environment and no file.
func ParseServiceKey(name string, data []byte, keyPairAlias string) ([]Artifact, error) {
	var wrong problems
	if err := checkName(name); err != nil {
		wrong.add("name", "%v", err)
		return nil, wrong.join("service key: ")
	}
	key, err := clientcredentials.ParseServiceKey(data)
	if err != nil {
		return nil, err
	}
	client := &ClientCredentials{Name: name, TokenServiceURL: key.TokenURL, ClientID: key.ClientID, ClientSecret: key.ClientSecret, ClientAuthentication: InHeader}
	all := []Artifact{client}
	switch certificate := key.Certificate; {
	case certificate == nil:
		if keyPairAlias != "" {
			wrong.add("keyPairAlias", "must not be set: the service key has a secret, and needs no certificate")
		}
	case certificate.PrivateKey != nil && keyPairAlias != "":
		wrong.add("keyPairAlias", "must not be set: the service key has its own certificate and key")
	case certificate.PrivateKey != nil:
		pair, err := pairOf(name+"-certificate", certificate.Certificate, certificate.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("service key: %w", err)
		}
		client.ClientAuthentication, client.KeyPairAlias = WithCertificate, pair.Name
		all = []Artifact{pair, client}
	case keyPairAlias == "":
		wrong.add("keyPairAlias", "missing: the service key has an external certificate: deploy it with its private key as a Key Pair, and name that here")
	default:
		client.ClientAuthentication, client.KeyPairAlias = WithCertificate, keyPairAlias
	}
	for _, one := range all {
		own, err := copyOf(one)
		if err != nil {
			return nil, err
		}
		wrong.addArtifact(own, true)
	}
	if len(wrong) > 0 {
		return nil, wrong.join("service key: ")
	}
	return all, nil
}

// pairOf makes a key pair of a certificate's chain and its key.
func pairOf(name string, chain [][]byte, key any) (*KeyPair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, certificate := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	}
	return &KeyPair{Name: name, PEM: outgrant.Secret(text)}, nil
}
