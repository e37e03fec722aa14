package samlbearer_test

import (
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

func checkedAt2000(t *testing.T, f samlbearer.Forwarded) (assertion []byte, id string, until time.Time, err error) {
	synctest.Test(t, func(t *testing.T) { assertion, id, until, err = f.Checked(t.Context(), fwdUser) })
	return assertion, id, until, err
}

// What tells assertions apart is who issued them and their ID, not how they were written down.
func TestForwardedReplayIDs(t *testing.T) {
	t.Parallel()
	idOf := func(f samlbearer.Forwarded) string {
		_, id, _, err := checkedAt2000(t, f)
		require.NoError(t, err)
		require.NotContains(t, id, "S3NTINEL")
		return id
	}
	honest := signedByIssuer(honestText)
	id := idOf(forwarding(honest))
	require.Equal(t, id, idOf(forwarding(honest+"\n")))
	require.Equal(t, id, idOf(forwarding(signFwd(honestText, rsaIssuer, fwdSignature{keyInfo: x509KeyInfo(rsaIssuer)}))))

	ec := forwarding(signFwd(honestText, ecIssuer, fwdSignature{method: moreNamespace + "ecdsa-sha256"}))
	ec.Certificates = []*x509.Certificate{ecIssuer.cert}
	require.Equal(t, id, idOf(ec))

	require.NotEqual(t, id, idOf(forwarding(signFwd(with(honestText, fwdID, fwdID+"2"), rsaIssuer, fwdSignature{uri: "#" + fwdID + "2"}))))
	other := forwarding(signedByIssuer(with(honestText, fwdIssuer, fwdIssuer+"2")))
	other.Issuer += "2"
	require.NotEqual(t, id, idOf(other))
}

func TestReplaysRefuseWhatWasUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r samlbearer.Replays
		end := time.Now().Add(time.Minute)
		require.NoError(t, r.Reserve("a", end))
		require.ErrorContains(t, r.Reserve("a", end), "is being exchanged")
		require.NoError(t, r.Reserve("b", end), "another one")

		r.Settle("a", false)
		require.NoError(t, r.Reserve("a", end), "a temporary failure: once more")
		r.Settle("a", true)
		require.ErrorContains(t, r.Reserve("a", end), "was used before")

		r.Settle("a", false)
		require.ErrorContains(t, r.Reserve("a", end), "was used before", "used is for good")
		r.Settle("unknown", true)
		require.NoError(t, r.Reserve("unknown", end))
	})
}

// A Client gets one token for an assertion, whoever asks, and may try again what failed for a while.
func TestForwardedOnceByAClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first oauthtest.Fault
		says  string // when it is forwarded again
	}{
		"a token":          {oauthtest.None(), "was used before"},
		"refused for good": {oauthtest.Refuse("invalid_grant", ""), "was used before"},
		"refused for now":  {oauthtest.Status(503), ""},
		"another refusal":  {oauthtest.Refuse("invalid_client", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := inMemory(nil)
				server.Inject(c.first)
				f := forwarding(signedByIssuer(honestText))
				f.MatchUser = func(string, string) bool { return true }
				cfg := config(server)
				cfg.Assertions = f
				client := newClient(t, cfg)
				_, _ = client.ForUser("first").Token(t.Context())
				_, err := client.ForUser("second").Token(t.Context())
				if c.says == "" {
					require.NoError(t, err)
					require.Equal(t, 2, server.TokenRequests())
					return
				}
				require.ErrorContains(t, err, c.says)
				require.Equal(t, 1, server.TokenRequests())
			})
		})
	}
}

func TestReplaysForgetWhatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r samlbearer.Replays
		require.NoError(t, r.Reserve("under way", time.Now().Add(time.Second)))
		most := 0
		for i := range 100_000 { // 100 a second, each for 10 seconds: 1,000 of them live
			id := fmt.Sprint(i)
			require.NoError(t, r.Reserve(id, time.Now().Add(10*time.Second)))
			r.Settle(id, true)
			if most = max(most, r.Len()); i%1000 == 999 {
				require.ErrorContains(t, r.Reserve(id, time.Now().Add(10*time.Second)), "was used before")
			}
			time.Sleep(10 * time.Millisecond)
		}
		require.Less(t, most, 2500)
		require.ErrorContains(t, r.Reserve("under way", time.Now()), "is being exchanged", "however long that takes")
	})
}

func TestReplaysConcurrently(t *testing.T) {
	t.Parallel()
	var r samlbearer.Replays
	end := time.Now().Add(time.Hour)
	var won [100]atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range won {
				id := fmt.Sprint(i)
				if r.Reserve(id, end) == nil {
					won[i].Add(1)
					r.Settle(id, true)
				}
			}
		})
	}
	group.Wait()
	for i := range won {
		require.EqualValues(t, 1, won[i].Load())
	}
}
