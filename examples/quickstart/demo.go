package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// demo calls a receiver on this machine while things go wrong.
func demo(ctx context.Context) error {
	const tokenLife, answerTime = 3 * time.Second, 200 * time.Millisecond
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: tokenLife})
	defer service.Close()
	receiver, err := serve(service.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "welcome") })))
	if err != nil {
		return err
	}
	defer receiver.close()
	stranger, err := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Authorization: %q", r.Header.Get("Authorization"))
	}))
	if err != nil {
		return err
	}
	defer stranger.close()

	// Five lines from a service key to a client that is always authorized.
	key, err := clientcredentials.ParseServiceKey(fmt.Appendf(nil, `{"oauth": {"clientid": "sb-demo", "clientsecret": "s3cr:et/+ %%&=",
		"tokenurl": %q, "url": %q}}`, service.TokenURL(), receiver.url))
	if err != nil {
		return err
	}
	cfg, err := key.Config()
	if err != nil {
		return err
	}
	cfg.Name = "DEMO"
	source, err := clientcredentials.New(cfg)
	if err != nil {
		return err
	}
	d := &demonstration{ctx: ctx, service: service, source: source, client: outgrant.NewClient(source), url: receiver.url}
	defer d.client.CloseIdleConnections()

	fmt.Printf("A token service that takes %s to answer and a receiver run on this machine. Tokens live %s.\n\n", answerTime, tokenLife)
	service.Inject(oauthtest.Lasting(oauthtest.Delay(answerTime)))
	d.step("first call: the token is fetched", 1, 0)
	d.step("1,000 calls: it is kept", 1000, 0)
	d.step("5 seconds of calls: tokens roll over, nobody waits", 0, 5*time.Second)
	service.Revoke()
	d.step("the receiver rejects the token: another is fetched within the call, which is repeated", 1, 0)
	service.ClearFaults()
	service.Inject(oauthtest.Lasting(oauthtest.HTML503()))
	d.step("the token service is down for 2 seconds: calls go on", 0, 2*time.Second)
	service.ClearFaults()
	if d.err != nil {
		return d.err
	}
	return d.strangers(stranger.url, cfg, source)
}

type demonstration struct {
	ctx     context.Context
	service *oauthtest.Server
	source  outgrant.TokenSource
	client  *http.Client
	url     string
	err     error // the first
}

// step calls the receiver n times, or for a time, and prints what that took: the longest that a call waited for its
// token, which is asked for beforehand to tell it from the rest of the call.
func (d *demonstration) step(what string, n int, during time.Duration) {
	if d.err != nil {
		return
	}
	var longest time.Duration
	calls, before, start := 0, d.service.TokenRequests(), time.Now()
	for ; calls < n || time.Since(start) < during; calls++ {
		began := time.Now()
		_, err := d.source.Token(d.ctx)
		longest = max(longest, time.Since(began))
		if err != nil {
			d.err = err
			return
		}
		resp, err := get(d.ctx, d.client, d.url)
		if err != nil {
			d.err = err
			return
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			d.err = fmt.Errorf("the receiver answered %s", resp.Status)
			return
		}
	}
	fmt.Printf("%s\n    calls: %d, all answered 200 OK; longest wait for a token: %s; token requests: %d\n",
		what, calls, longest.Round(100*time.Microsecond), d.service.TokenRequests()-before)
}

// strangers shows where the token does not go.
func (d *demonstration) strangers(elsewhere string, cfg *clientcredentials.Config, source outgrant.TokenSource) error {
	away, err := serve(http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	if err != nil {
		return err
	}
	defer away.close()
	resp, err := get(d.ctx, d.client, away.url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var seen [100]byte
	n, _ := resp.Body.Read(seen[:])
	fmt.Printf("a redirect to another host: what arrives there is\n    %s\n", seen[:n])
	token, err := source.Token(d.ctx)
	if err != nil {
		return err
	}
	fmt.Printf("printed: the token is %+v, the configuration %+v\n", token, cfg)
	_, err = get(d.ctx, d.client, "http://receiver.example/")
	if !errors.Is(err, outgrant.ErrInsecureURL) {
		return fmt.Errorf("a request over plain http was not refused: %w", err)
	}
	fmt.Printf("over plain http to another machine:\n    %v\n", errors.Unwrap(err))
	return nil
}

func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// local is a server on a free port of this machine.
type local struct {
	url   string
	close func() error
}

func serve(h http.Handler) (*local, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	u := url.URL{Scheme: "http", Host: l.Addr().String()}
	return &local{url: u.String(), close: s.Close}, nil
}
