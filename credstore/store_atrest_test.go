package credstore_test

import (
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// filesIn returns the files below a folder, by name.
func filesIn(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path], err = os.ReadFile(path)
		}
		return err
	}))
	return files
}

// Every file that a store writes, searched for every secret that was ever in it.
func TestNoSecretIsInAFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	dir := t.TempDir()
	s := p.openDir(t, dir)
	at := []*credstore.Store{s, s.Tenant("acme")}
	types := eachType(t, p)
	types["p12"] = signingPair(t)
	types["parameters"] = p.clientCredentials("parameters", func(a *credstore.ClientCredentials) {
		a.CustomParameters = []credstore.CustomParameter{{Key: "k", Value: "S3NTINEL-custom"}}
	})
	types["cloud"] = cloudFoundry(func(a *credstore.SAMLBearerAssertion) { a.Name = "cloud" })
	for round := range 2 {
		for _, s := range at {
			for name, a := range types {
				require.NoError(t, s.Deploy(t.Context(), a), name)
			}
			require.NoError(t, p.consent(t, s, s, "code"))
			for _, name := range []string{"code", "client", "technical"} {
				p.tokenOf(t, s, name)
			}
			src := sourceOf(t, s, "code")
			token, err := src.Token(t.Context())
			require.NoError(t, err)
			src.(outgrant.Invalidator).Invalidate(token)
			p.tokenOf(t, s, "code") // which refreshes
			_, err = s.List(t.Context())
			require.NoError(t, err)
		}
		if round == 0 {
			require.NoError(t, s.RotateKeys(t.Context()))
		}
	}
	require.GreaterOrEqual(t, len(p.requests("refresh_token")), 4)

	keyPath := filepath.Join(dir, "keeper.key")
	key, err := os.ReadFile(keyPath)
	require.NoError(t, err)
	keyText := strings.TrimPrefix(strings.TrimSpace(string(key)), "outgrant-key-1:")
	raw, err := base64.StdEncoding.DecodeString(keyText)
	require.NoError(t, err)
	secrets := append(slices.Clone(p.secrets), "S3NTINEL", keyText, string(raw), string(pemOf(t, "signing")))
	block, _ := pem.Decode([]byte(pemOf(t, "signing")))
	secrets = append(secrets, string(block.Bytes), string(readFile(t, "testdata/keys/signing.p12")))
	for _, line := range strings.Split(string(pemOf(t, "signing")), "\n") {
		if len(line) > 40 {
			secrets = append(secrets, line)
		}
	}
	files := filesIn(t, dir)
	require.Greater(t, len(files), 2*len(types))
	var outputs []any
	for path, content := range files {
		if path != keyPath {
			outputs = append(outputs, path, content)
		}
	}
	oauthtest.AssertNoSecrets(t, secrets, outputs...)

	info, err := os.Stat(keyPath)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
}

// damaged has artifacts and grants of two tenants, in the place's backend.
func damaged(t *testing.T, p *place) *credstore.Store {
	s := p.open(t)
	for _, s := range []*credstore.Store{s, s.Tenant("acme")} {
		for _, name := range []string{"ONE", "TWO"} {
			p.authorized(t, s, "MAILBOX_"+name)
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("CLIENT_"+name)))
			require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "PARAMETER_" + name, Value: "S3NTINEL-parameter"}))
		}
	}
	return s
}

// A record that is moved or changed is refused, by name, and repaired by what replaces it. Others are not concerned.
func TestRecordsThatAreNotWhatWasWritten(t *testing.T) {
	one := driver.Key{Kind: "artifact", Name: "CLIENT_ONE"}
	for name, test := range map[string]struct {
		of     driver.Key
		change func(*testing.T, *place, *driver.Record)
	}{
		"another name's": {one, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Kind: "artifact", Name: "CLIENT_TWO"})
		}},
		"another tenant's": {one, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Tenant: "acme", Kind: "artifact", Name: "CLIENT_ONE"})
		}},
		"another kind's": {one, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Kind: "grant", Name: "MAILBOX_ONE"})
		}},
		"another name's seal": {one, func(t *testing.T, p *place, r *driver.Record) {
			r.Sealed = stored(t, p, driver.Key{Kind: "artifact", Name: "CLIENT_TWO"}).Sealed
		}},
		"its seal of yesterday": {one, func(t *testing.T, p *place, r *driver.Record) {
			was := *r
			time.Sleep(time.Second)
			require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("CLIENT_ONE", withClient("of today"))))
			*r = stored(t, p, r.Key)
			r.Sealed = was.Sealed
		}},
		"another description": {one, func(t *testing.T, _ *place, r *driver.Record) {
			r.Info = []byte(strings.Replace(string(r.Info), `"type":`, `"description":"mine","type":`, 1))
		}},
		"another time":   {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Expires = time.Now().Add(day) }},
		"no seal":        {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = nil }},
		"truncated":      {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = r.Sealed[:len(r.Sealed)-1] }},
		"a bit":          {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = flipped(r.Sealed, len(r.Sealed)/2, 3) }},
		"another key":    {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = flipped(r.Sealed, 4, 1) }},
		"a newer format": {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = flipped(r.Sealed, 0, 1) }},
		"a foreign text": {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Info, r.Sealed = []byte("hello"), []byte("world") }},
		"no information": {one, func(_ *testing.T, _ *place, r *driver.Record) { r.Info = nil }},
		"another parameter's": {driver.Key{Kind: "artifact", Name: "PARAMETER_ONE"}, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Kind: "artifact", Name: "PARAMETER_TWO"})
		}},
		"another grant": {driver.Key{Kind: "grant", Name: "MAILBOX_ONE"}, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Kind: "grant", Name: "MAILBOX_TWO"})
		}},
		"another tenant's grant": {driver.Key{Kind: "grant", Name: "MAILBOX_ONE"}, func(t *testing.T, p *place, r *driver.Record) {
			*r = stored(t, p, driver.Key{Tenant: "acme", Kind: "grant", Name: "MAILBOX_ONE"})
		}},
		"a bit of a grant": {driver.Key{Kind: "grant", Name: "MAILBOX_ONE"}, func(_ *testing.T, _ *place, r *driver.Record) { r.Sealed = flipped(r.Sealed, 30, 3) }},
		"a grant's time":   {driver.Key{Kind: "grant", Name: "MAILBOX_ONE"}, func(_ *testing.T, _ *place, r *driver.Record) { r.Due = time.Now() }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				damaged(t, p)
				r := stored(t, p, test.of)
				test.change(t, p, &r)
				r.Key = test.of
				_, err := p.backend.Store.Put(t.Context(), r, stored(t, p, test.of).Version)
				require.NoError(t, err)
				requireNamedAndRepaired(t, p, p.open(t), test.of)
			})
		})
	}
}

func stored(t testing.TB, p *place, k driver.Key) driver.Record {
	t.Helper()
	r, err := p.backend.Store.Get(t.Context(), k)
	require.NoError(t, err)
	return r
}

// requireNamedAndRepaired looks at the store of damaged in which one record is not what was written.
func requireNamedAndRepaired(t *testing.T, p *place, s *credstore.Store, bad driver.Key) {
	t.Helper()
	info, err := s.Info(t.Context(), bad.Name)
	require.NoError(t, err)
	assert.Equal(t, credstore.Error, info.Status, info.Reason)
	requireAdvice := func(reason string) {
		t.Helper()
		assert.Contains(t, reason, "cannot be read")
		assert.Equal(t, 1, strings.Count(reason, "restore it from a backup, or deploy it, and authorize it, again"), reason)
		assert.NotContains(t, reason, "delete")
	}
	requireAdvice(info.Reason)
	p.show(info)
	all, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 6)
	for _, info := range all {
		if info.Status == credstore.Error { // not all can be told without the secret
			requireAdvice(info.Reason)
		}
	}
	failing := func(s *credstore.Store, tenant string) (broken []string) {
		for _, name := range []string{"CLIENT_ONE", "CLIENT_TWO", "MAILBOX_ONE", "MAILBOX_TWO", "PARAMETER_ONE", "PARAMETER_TWO"} {
			var err error
			if strings.HasPrefix(name, "PARAMETER") {
				_, err = s.SecureParameter(t.Context(), name)
			} else {
				var src outgrant.TokenSource
				if src, err = s.TokenSource(t.Context(), name); err == nil {
					_, err = src.Token(t.Context())
				}
			}
			if err != nil {
				broken = append(broken, name)
				assert.ErrorIs(t, err, credstore.ErrUnreadable)
				assert.ErrorContains(t, err, bad.Name)
				assert.ErrorContains(t, err, "restore it from a backup, or deploy it, and authorize it, again")
				p.show(err)
			}
		}
		return broken
	}
	require.Equal(t, []string{bad.Name}, failing(s, ""))
	require.Empty(t, failing(s.Tenant("acme"), "acme"))

	if bad.Kind == "grant" {
		require.NoError(t, p.consent(t, s, s, bad.Name))
	} else {
		switch {
		case strings.HasPrefix(bad.Name, "CLIENT"):
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials(bad.Name)))
		case strings.HasPrefix(bad.Name, "PARAMETER"):
			require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: bad.Name, Value: "S3NTINEL-parameter"}))
		default:
			require.NoError(t, s.Deploy(t.Context(), p.authorizationCode(bad.Name)))
		}
	}
	require.Empty(t, failing(s, ""))
	all, err = s.List(t.Context())
	require.NoError(t, err)
	for _, info := range all {
		require.Equal(t, credstore.Deployed, info.Status, info.Reason)
	}
}

// The same with files: whichever one is damaged, and however.
func TestFilesThatAreDamaged(t *testing.T) {
	t.Parallel()
	damages := map[string]func([]byte, []byte) []byte{
		"empty":              func([]byte, []byte) []byte { return nil },
		"truncated":          func(b, _ []byte) []byte { return b[:len(b)/2] },
		"without its end":    func(b, _ []byte) []byte { return b[:len(b)-1] },
		"longer":             func(b, _ []byte) []byte { return append(slices.Clone(b), 'x') },
		"its first bit":      func(b, _ []byte) []byte { return flipped(b, 0, 0) },
		"a bit in between":   func(b, _ []byte) []byte { return flipped(b, len(b)/2, 5) },
		"its last bit":       func(b, _ []byte) []byte { return flipped(b, len(b)-1, 7) },
		"another record's":   func(_, other []byte) []byte { return other },
		"something foreign":  func([]byte, []byte) []byte { return []byte("-----BEGIN CERTIFICATE-----") },
		"nothing but zeroes": func(b, _ []byte) []byte { return make([]byte, len(b)) },
	}
	kinds := map[string]driver.Key{"artifact": {Kind: "artifact", Name: "CLIENT_ONE"}, "grant": {Kind: "grant", Name: "MAILBOX_ONE"}, "mailbox": {Kind: "artifact", Name: "MAILBOX_ONE"}}
	p := newPlace(t, oauthtest.ServerOptions{})
	master := t.TempDir()
	s := p.openDir(t, master)
	for _, s := range []*credstore.Store{s, s.Tenant("acme")} {
		for _, name := range []string{"ONE", "TWO"} {
			p.authorized(t, s, "MAILBOX_"+name)
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("CLIENT_"+name)))
			require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "PARAMETER_" + name, Value: "S3NTINEL-parameter"}))
		}
	}
	require.NoError(t, s.Close())
	for what, key := range kinds {
		for how, damage := range damages {
			t.Run(what+" "+how, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "store")
				require.NoError(t, os.CopyFS(dir, os.DirFS(master)))
				require.NoError(t, os.Chmod(filepath.Join(dir, "keeper.key"), 0o600))
				path := fileOf(t, dir, key)
				other := fileOf(t, dir, driver.Key{Kind: key.Kind, Name: strings.Replace(key.Name, "ONE", "TWO", 1)})
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				others, err := os.ReadFile(other)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, damage(content, others), 0o600))
				s := p.openDir(t, dir)
				all, err := s.List(t.Context())
				require.NoError(t, err)
				good := slices.ContainsFunc(all, func(i credstore.Info) bool { return i.Name == key.Name && i.Status == credstore.Deployed })
				secretAlone := how == "its last bit" || how == "a bit in between"
				require.False(t, good && !secretAlone, "%v", all)
				requireNamedAndRepaired(t, p, s, key)
			})
		}
	}
}

// What is known of a tenant is damaged: its artifacts are there all the same, and another deploy repairs it.
func TestTenantsFileThatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	acme := s.Tenant("acme")
	require.NoError(t, acme.Deploy(t.Context(), credstore.SecureParameter{Name: "a", Value: "S3NTINEL-parameter"}))
	path := fileOf(t, dir, driver.Key{Kind: "tenant", Name: "acme"})
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, errOf(acme.SecureParameter(t.Context(), "a")))
	require.ErrorContains(t, s.RotateKeys(t.Context()), "a tenant cannot be told")
	require.NoError(t, acme.Deploy(t.Context(), credstore.SecureParameter{Name: "b", Value: "S3NTINEL-parameter"}))
	require.NoError(t, s.RotateKeys(t.Context()))
}

// fileOf returns where a record of the default tenant is.
func fileOf(t testing.TB, dir string, k driver.Key) string {
	t.Helper()
	for path := range filesIn(t, filepath.Join(dir, "records")) {
		folder, file := filepath.Base(filepath.Dir(path)), filepath.Base(path)
		if strings.HasPrefix(folder, k.Kind+"-") && strings.Count(folder, "-") == 1 && strings.HasPrefix(file, strings.ToLower(k.Name)+"-") {
			return path
		}
	}
	t.Fatalf("no file of %v", k)
	return ""
}

// Artifacts that this version does not know can be replaced and removed.
func TestArtifactsOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	for _, name := range []string{"ONE", "TWO"} {
		require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: name, Value: "S3NTINEL-parameter"}))
		credstore.StoreText(t.Context(), s, name, `{"type":"Passkey","name":"`+name+`","secret":"S3NTINEL-passkey"}`)
	}
	for _, name := range []string{"ONE", "TWO"} {
		err = errOf(s.SecureParameter(t.Context(), name))
		require.ErrorIs(t, err, credstore.ErrUnreadable)
		require.ErrorContains(t, err, "a newer version of outgrant may have written it")
		oauthtest.AssertNoSecrets(t, []string{"S3NTINEL"}, err)
	}
	require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "ONE", Value: "S3NTINEL-parameter"}))
	require.NoError(t, errOf(s.SecureParameter(t.Context(), "ONE")))
	require.NoError(t, s.Undeploy(t.Context(), "TWO"))
	require.ErrorIs(t, errOf(s.SecureParameter(t.Context(), "TWO")), credstore.ErrNotFound)
}

func TestKeyFileThatIsLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "a", Value: "S3NTINEL-parameter"}))
	require.NoError(t, s.Close())
	before := filesIn(t, dir)
	path := filepath.Join(dir, "keeper.key")
	key, err := os.ReadFile(path)
	require.NoError(t, err)

	require.NoError(t, os.Remove(path))
	err = errOf(credstore.OpenDir(dir, nil))
	require.ErrorContains(t, err, "data key 1 cannot be decrypted")
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "restore the Keeper's key (file, variable, key of a key management service) from a backup")
	require.NoFileExists(t, path, "a new key would hide that the old one is lost")

	other, err := credstore.OpenDir(t.TempDir(), &credstore.Options{})
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, os.WriteFile(path, []byte("outgrant-key-1:"+base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600))
	err = errOf(credstore.OpenDir(dir, nil))
	require.ErrorContains(t, err, "is not the one that encrypted this")

	require.NoError(t, os.WriteFile(path, key, 0o600))
	s, err = credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, errOf(s.SecureParameter(t.Context(), "a")))
	require.Equal(t, before, filesIn(t, dir))
}
