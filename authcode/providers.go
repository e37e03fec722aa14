package authcode

import (
	"net/url"
	"slices"
	"time"

	"github.com/outgrant/outgrant"
)

// Microsoft365 returns a configuration for Microsoft 365 and Entra ID: of one tenant, by its id or domain, or of any
// account if tenant is "". Set Name, User, ClientID, ClientSecret, RedirectURL and Vault, and append to Scopes, such as
// https://outlook.office.com/SMTP.Send; openid and email let another user be told. offline_access is always among the
// scopes. Refresh tokens end after 90 days.
func Microsoft365(tenant string) *Config {
	if tenant == "" {
		tenant = "common"
	}
	base := "https://login.microsoftonline.com/" + url.PathEscape(tenant) + "/oauth2/v2.0/"
	return &Config{
		AuthURL: base + "authorize", TokenURL: base + "token", Auth: outgrant.ClientSecretPost,
		Scopes: []string{"offline_access"}, always: []string{"offline_access"},
		ScopeOnRefresh: true, RefreshTokenExpiry: 90 * 24 * time.Hour,
	}
}

// Google returns a configuration for Google's APIs. Set Name, User, ClientID, ClientSecret, RedirectURL, Scopes and Vault;
// the scopes openid and email let another user be told. It asks for consent each time: otherwise Google gives a refresh
// token at the first consent only. Revoking one at Google ends all that the user authorized for the client.
func Google() *Config {
	return &Config{
		AuthURL:  "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
		TokenURL: "https://oauth2.googleapis.com/token", Auth: outgrant.ClientSecretPost,
		RevocationURL: "https://oauth2.googleapis.com/revoke", Issuer: "https://accounts.google.com",
		issuerIfSent: true, // Google sends it in some answers, and does not announce it
	}
}

// Dropbox returns a configuration for Dropbox. Set Name, User, ClientID and ClientSecret (the app's key and secret),
// RedirectURL and Vault, and Scopes if they shall be fewer than the app has.
func Dropbox() *Config {
	return &Config{
		AuthURL:  "https://www.dropbox.com/oauth2/authorize?token_access_type=offline",
		TokenURL: "https://api.dropboxapi.com/oauth2/token",
	}
}

// scopes are those that are asked for.
func (c *Config) scopes() []string {
	all := slices.Clone(c.Scopes)
	for _, scope := range c.always {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}
