package clientcredentials

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
	"github.com/outgrant/outgrant/internal/origin"
)

// ServiceKey is what an SAP service key says, in whichever of its forms it came. It prints its client id and token
// service, and nothing else. Its Join methods change it, so they must not run while it is used elsewhere.
type ServiceKey struct {
	// ClientID is the client's identifier.
	ClientID string

	// ClientSecret is the client's secret; "" if it authenticates by a certificate.
	ClientSecret outgrant.Secret

	// TokenURL is the token service's address. For a certificate it is the host that accepts certificates (certurl),
	// where the key names one.
	TokenURL string

	// URL is the service's own address as the key states it, for the receiver side; "" if the key states none. For
	// Event Mesh it is the broker's address for AMQP over WebSocket.
	URL string

	// Certificate is the client certificate and its chain, leaf first; nil if the client has a secret. Its PrivateKey is
	// nil as long as an external certificate lacks its key: see [ServiceKey.JoinPEM]. It must not be modified.
	Certificate *tls.Certificate

	// Messaging lists the addresses of an Event Mesh key, for all its protocols; nil for other services.
	Messaging []MessagingEndpoint
}

// MessagingEndpoint is one address of an Event Mesh service.
type MessagingEndpoint struct {
	Protocols []string // such as amqp10ws, httprest
	URI       string
}

// Config returns the configuration for [New], to be completed by a Name and whatever else is wanted: a client secret
// goes into a Basic header, a certificate into mutual TLS. It fails on an external certificate that lacks its key.
// Whether a certificate is valid today is checked by New.
func (k *ServiceKey) Config() (*Config, error) {
	cfg := &Config{TokenURL: k.TokenURL, ClientID: k.ClientID, ClientSecret: k.ClientSecret, Certificate: k.Certificate}
	if k.Certificate == nil {
		return cfg, nil
	}
	if k.Certificate.PrivateKey == nil {
		return nil, errors.New("service key: an external certificate without its private key: call JoinPEM or JoinPKCS12 with your key pair before Config")
	}
	cfg.Auth = outgrant.TLSClientAuth
	return cfg, nil
}

// JoinPEM adds the private key of an external certificate, in PEM form and not encrypted. Intermediate certificates
// beside it complete the chain; other certificates, and the service key's own once more, do no harm. It fails, and
// changes nothing, if the private key does not belong to the service key's certificate.
func (k *ServiceKey) JoinPEM(pemData []byte) error {
	certs, key, err := keypair.ParsePEM(pemData)
	if err == nil {
		err = k.join(certs, key)
	}
	if err != nil {
		return fmt.Errorf("service key: JoinPEM: %w", err)
	}
	return nil
}

// JoinPKCS12 does what [ServiceKey.JoinPEM] does, for a PKCS#12 file (.p12, .pfx).
func (k *ServiceKey) JoinPKCS12(data []byte, password outgrant.Secret) error {
	if password.IsRedacted() {
		return fmt.Errorf("service key: JoinPKCS12: the password is the printed form %s of a secret, not the secret", password)
	}
	certs, key, err := keypair.ParsePKCS12(data, password.Reveal())
	if err == nil {
		err = k.join(certs, key)
	}
	if err != nil {
		return fmt.Errorf("service key: JoinPKCS12: %w", err)
	}
	return nil
}

func (k *ServiceKey) join(certs []*x509.Certificate, key crypto.Signer) error {
	if k.Certificate == nil {
		return errors.New("this service key has a client secret and no certificate: there is nothing to join")
	}
	own, err := certificatesOf(k.Certificate)
	if err != nil {
		return err
	}
	// The leaf alone first: a key of one of the other certificates must not make that one the leaf.
	if _, err := keypair.Join(own[:1], key); err != nil {
		return err
	}
	joined, err := keypair.Join(slices.Concat(own, certs), key)
	if err != nil {
		return err
	}
	k.Certificate = joined
	return nil
}

func certificatesOf(c *tls.Certificate) ([]*x509.Certificate, error) {
	leaf, err := keypair.Leaf(c)
	if err != nil {
		return nil, err
	}
	certs := []*x509.Certificate{leaf}
	for _, der := range c.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

func (k ServiceKey) String() string {
	return fmt.Sprintf("clientcredentials.ServiceKey(client %q at %s)", k.ClientID, origin.Host(k.TokenURL))
}

// Format prints client id and host, for every verb and flag.
func (k ServiceKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue logs client id and host.
func (k ServiceKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON encodes client id and host: a ServiceKey is not meant to be stored.
func (k ServiceKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
