package codeflow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// A program on a user's machine has no secret and no address, and is authorized all the same.
func TestAuthorizeLoopback(t *testing.T) {
	t.Parallel()
	c := peer.NativeClient("native", "http://127.0.0.1/", "http://[::1]/signed-in", "http://localhost/")
	s := startServer(t, time.Minute, c)
	for name, redirectURL := range map[string]string{
		"by default": "",
		"IPv4":       "http://127.0.0.1/",
		"IPv6":       "http://[::1]/signed-in",
		"both":       "http://localhost/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(t, s, c)
			cfg.ClientSecret, cfg.Auth, cfg.RedirectURL = "", outgrant.None, redirectURL
			client := newClient(t, cfg)
			visit := func(login string, deny bool) (page *peer.Page, err error) {
				err = client.AuthorizeLoopback(t.Context(), func(url string) error {
					browser := peer.NewBrowser(t, login, s.Transport(t))
					browser.Deny = deny
					page = browser.Visit(t, url)
					return nil
				})
				return page, err
			}
			page, err := visit("alice", true)
			require.ErrorIs(t, err, authcode.ErrDenied)
			require.Contains(t, page.Text, "Consent was not given")
			_, err = visit("bob", false)
			require.ErrorIs(t, err, authcode.ErrWrongUser)
			requireState(t, client, authcode.Unauthorized)

			page, err = visit("alice", false)
			require.NoError(t, err)
			require.Contains(t, page.Text, "MAILBOX is authorized")
			token := another(t, client, tokenOf(t, client))
			answer := askAbout(t, s, token)
			require.True(t, answer.Active)
			require.Equal(t, c.ID, answer.ClientID)
		})
	}
}
