package successfactors_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// mockUsers gets each user a token from a fake token service. In production this is a *samlbearer.Client.
type mockUsers struct{ server *oauthtest.Server }

func (m mockUsers) ForUser(user string) outgrant.TokenSource {
	src, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: m.server.TokenURL(), ClientID: user, ClientSecret: "secret", HTTPClient: m.server.Client(),
	})
	if err != nil {
		panic(err)
	}
	return outgrant.TokenSourceFunc(src.Token) // which does not say its grant, as the sources of a mock
}

func ExampleNewOData() {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	defer server.Close()
	api := oauthtest.HandlerTransport(server.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("$select") == "nme" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":"COE_PROPERTY_NOT_FOUND","message":{"lang":"en-US","value":"[COE0021]Invalid property names: User/nme."}}}`)
			return
		}
		fmt.Fprint(w, r.URL.Path)
	})))

	transport, err := successfactors.NewOData(mockUsers{server}, &successfactors.Options{
		Base:    api,
		BaseURL: "https://api4.successfactors.example",
		User:    func(r *http.Request) (string, error) { return r.Header.Get("X-Login"), nil },
	})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport} // without a Jar
	for _, path := range []string{"User('cgrant')", "User?$select=nme"} {
		req, _ := http.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("X-Login", "cgrant")
		resp, err := client.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		if err := successfactors.ErrorOf(resp); err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.Status, string(body))
	}
	_, err = client.Get("User")
	fmt.Println(errors.Is(err, outgrant.ErrUserRequired))
	// Output:
	// 200 OK /odata/v2/User('cgrant')
	// successfactors: api4.successfactors.example answered 400 COE_PROPERTY_NOT_FOUND: [COE0021]Invalid property names: User/nme.
	// true
}

func ExampleNewSOAP() {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	defer server.Close()
	api := oauthtest.HandlerTransport(server.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault>
			<faultcode>S:Server</faultcode><faultstring>failed</faultstring><detail><SFWebServiceFault xmlns="urn:fault.sfapi.successfactors.com">
			<errorCode>INVALID_QUERY</errorCode><errorMessage>There is no Usr.</errorMessage></SFWebServiceFault></detail>
			</S:Fault></S:Body></S:Envelope>`)
	})))

	transport, err := successfactors.NewSOAP(mockUsers{server}, &successfactors.Options{
		Base:    api,
		BaseURL: "https://api4.successfactors.example",
		User:    func(*http.Request) (string, error) { return "cgrant", nil },
		Repeat:  true, // queries that meet a server which is away, every three minutes
	})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Post("", "text/xml; charset=utf-8", strings.NewReader(
		`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><query xmlns="urn:sfobject.sfapi.successfactors.com">`+
			`<queryString>SELECT id FROM Usr</queryString></query></e:Body></e:Envelope>`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	err = successfactors.ErrorOf(resp)
	if fault, ok := errors.AsType[*successfactors.Fault](err); ok {
		fmt.Println(fault.StatusCode, fault.Code)
	}
	fmt.Println(err)
	// Output:
	// 500 INVALID_QUERY
	// successfactors: api4.successfactors.example answered 500 INVALID_QUERY: There is no Usr.
}
