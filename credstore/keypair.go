package credstore

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

// KeyPair is a Key Pair artifact: a private key with the chain of its certificate, to which other artifacts refer by its
// name. It has either PKCS12 or PEM. A certificate that has ended can be deployed; it is refused where it is used. It
// prints its name.
type KeyPair struct {
	Name, Description string

	// PKCS12 is a PKCS#12 file (.p12, .pfx), and Password its password. In JSON it is base64, or a reference to the file.
	PKCS12   []byte
	Password outgrant.Secret

	// PEM has the private key, not encrypted, and the certificates, in any order.
	PEM outgrant.Secret
}

// ArtifactName returns the name.
func (a KeyPair) ArtifactName() string { return a.Name }

// Type returns Key Pair.
func (a KeyPair) Type() string { return typeKeyPair }

func (a KeyPair) clone() artifact {
	a.PKCS12 = bytes.Clone(a.PKCS12)
	return &a
}

func (a *KeyPair) members() []member {
	return []member{
		{"type", typeField(typeKeyPair)},
		{"name", nameField{to: &a.Name}},
		{"description", textField{&a.Description, maxDescription}},
		{"pkcs12", fileField{&a.PKCS12}},
		{"password", secretField{to: &a.Password}},
		{"pem", secretField{&a.PEM, maxKeyText}},
	}
}

func (a *KeyPair) rules(p *problems) {
	switch {
	case len(a.PKCS12) == 0 && a.PEM == "":
		p.add("pkcs12", "missing, and so is pem: a key pair has one of them")
	case len(a.PKCS12) != 0 && a.PEM != "":
		p.add("pem", "must not be set beside pkcs12")
	}
	if a.PEM != "" {
		p.refuse("password", a.Password.Reveal(), "with pem: it is for pkcs12")
	}
}

func (a *KeyPair) grant(bool) error {
	_, err := a.certificate()
	return err
}

func (a *KeyPair) facts() facts {
	f := facts{description: a.Description}
	if pair, err := a.certificate(); err == nil {
		f.expires, f.endsSoon = pair.Leaf.NotAfter, keypair.SoonFrom(pair.Leaf)
	}
	return f
}

// certificate returns the key with its chain. It does not look at the time.
func (a *KeyPair) certificate() (*tls.Certificate, error) {
	var certs []*x509.Certificate
	var key crypto.Signer
	var err error
	at := "pem"
	if a.PEM != "" {
		certs, key, err = keypair.ParsePEM([]byte(a.PEM.Reveal()))
	} else {
		at = "pkcs12"
		certs, key, err = keypair.ParsePKCS12(a.PKCS12, a.Password.Reveal())
	}
	if err == nil {
		var pair *tls.Certificate
		if pair, err = keypair.Join(certs, key); err == nil {
			return pair, nil
		}
	}
	return nil, problem{at: at, what: err.Error(), cause: err}
}
