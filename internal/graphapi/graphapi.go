// Package graphapi says where Facebook's Graph API is.
package graphapi

const (
	// Version is the one that is called. Facebook keeps a version for two years and more: v25.0 until July 2028.
	Version = "v25.0"

	// URL is where it is, without the version.
	URL = "https://graph.facebook.com"

	// AccessToken and Proof are parameters, which Graph also puts into the links of its answers.
	AccessToken = "access_token"
	Proof       = "appsecret_proof"
)
