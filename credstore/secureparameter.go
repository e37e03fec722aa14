package credstore

import "github.com/outgrant/outgrant"

// SecureParameter is a Secure Parameter artifact: one secret under a name, which [Store.SecureParameter] returns. It prints
// its name.
type SecureParameter struct {
	Name, Description string

	// Value is the secret: 1 to 4,096 characters. In JSON it is called secureParameter.
	Value outgrant.Secret
}

const maxSecureParameter = 4096

// ArtifactName returns the name.
func (a SecureParameter) ArtifactName() string { return a.Name }

// Type returns Secure Parameter.
func (a SecureParameter) Type() string { return typeSecureParameter }

func (a SecureParameter) clone() artifact { return &a }

func (a *SecureParameter) members() []member {
	return []member{
		{"type", typeField(typeSecureParameter)},
		{"name", nameField{to: &a.Name}},
		{"description", textField{&a.Description, maxDescription}},
		{"secureParameter", secretField{&a.Value, maxSecureParameter}},
	}
}

func (a *SecureParameter) rules(p *problems) { p.need("secureParameter", a.Value.Reveal(), "") }

func (a *SecureParameter) grant(bool) error { return nil }

func (a *SecureParameter) facts() facts { return facts{description: a.Description} }
