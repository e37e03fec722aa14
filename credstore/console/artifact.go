package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
)

// artifactBody is what the page of a credential shows.
type artifactBody struct {
	credstore.Info
	Badge        badge
	Token, Grant life
	Failed       sparkline
	Attributes   []shown
	Adapters     []string
	UsedBy       []string // what refers to a key pair
	Redirect     string   // the redirect URL of an authorization code
	RedirectHint string   // what to do where there is none
	History      []event

	MayEdit, MayDelete, MayAuthorize, MayTry bool
}

// shown is an attribute with its value.
type shown struct {
	Label, Value string
	Default      bool // it was left out
}

// event is one of a history, as it is shown.
type event struct {
	Title, Class string
	credstore.Event
}

// eventTitles are the words for what happened.
var eventTitles = map[string]string{
	credstore.EventDeployed: "Deployed", credstore.EventUndeployed: "Deleted", credstore.EventAuthorized: "Authorized",
	credstore.EventNotAuthorized: "Authorization came to nothing", credstore.EventFetched: "Access token came", credstore.EventFailed: "No access token",
	credstore.EventRejected: "A receiver rejected the token", credstore.EventTried: "Tested",
	string(outgrant.Refreshed): "Refreshed", string(outgrant.OutcomeUnknown): "Outcome of a refresh unknown", string(outgrant.NotStored): "Refresh token not stored yet",
	string(outgrant.Superseded): "A refresh came too late", string(outgrant.Unauthorized): "Authorization ended", string(outgrant.Revoked): "Refresh token revoked",
	string(outgrant.SharedClient): "Client shared with another credential",
}

func (v *visit) artifact() { v.showArtifact(doneNotice(v.r)) }

func (v *visit) backToArtifact() { v.goTo(link("artifact", v.name)) }

// showArtifact shows the page of the credential that the visit is about.
func (v *visit) showArtifact(n *notice) {
	ctx := v.r.Context()
	events, err := v.store.History(ctx, v.name) // first: it stores what is not stored yet
	if err != nil {
		v.failed(err)
		return
	}
	info, err := v.store.Info(ctx, v.name)
	if errors.Is(err, credstore.ErrNotFound) && len(events) > 0 && events[0].What == credstore.EventUndeployed {
		v.fail(http.StatusNotFound, "There is no such credential", "It was deleted "+by(events[0])+".")
		return
	}
	if err != nil {
		v.failed(err)
		return
	}
	info.Reason = said(info.Reason)
	now := time.Now()
	b := &artifactBody{
		Info: info, Badge: badgeOf(&info), Token: tokenLife(&info, now), Grant: grantLife(&info, now), Failed: sparklineOf(info.Failures, now),
		Adapters: adaptersFor(info.Type), History: eventsShown(events),
		MayEdit: v.may(Deploy, v.name), MayDelete: v.may(Undeploy, v.name), MayAuthorize: info.Type == code && v.may(Authorize, v.name),
		MayTry: (info.Type == client || info.Type == saml || info.Type == code) && v.may(Try, v.name),
	}
	a, err := v.store.Artifact(ctx, v.name)
	if err == nil {
		b.Attributes = attributesShown(a)
		b.fillRedirect(v, a)
	} else if !errors.Is(err, credstore.ErrUnreadable) && !errors.Is(err, credstore.ErrNotFound) {
		v.failed(err)
		return
	}
	if info.Type == keyPair {
		if b.UsedBy, err = v.usersOf(v.name); err != nil {
			v.failed(err)
			return
		}
	}
	v.show(http.StatusOK, "artifact", page{Title: v.name, Live: v.r.Method == http.MethodGet, Notice: n, Body: b})
}

func eventsShown(events []credstore.Event) (all []event) {
	for _, e := range events {
		e.Reason = said(e.Reason)
		one := event{Title: cmp.Or(eventTitles[e.What], capital(e.What)), Event: e}
		if e.Failed {
			one.Class = "bad"
		}
		all = append(all, one)
	}
	return all
}

// by tells who did something, and when.
func by(e credstore.Event) string {
	if e.Who == "" {
		return "at " + exactTime(e.Time)
	}
	return "by " + e.Who + " at " + exactTime(e.Time)
}

// fillRedirect adds where the provider of an authorization code sends people back to.
func (b *artifactBody) fillRedirect(v *visit, a credstore.Artifact) {
	own, ok := a.(*credstore.AuthorizationCode)
	if !ok {
		return
	}
	if b.Redirect = own.RedirectURL; b.Redirect == "" {
		b.Redirect = v.store.RedirectURL()
	}
	if b.Redirect == "" {
		b.MayAuthorize = false
		b.RedirectHint = "There is none, so it cannot be authorized: set the redirect URL of this credential, or RedirectURL in the options of the program's store, to the address of the page callback beside this one."
	}
}

// usersOf returns the credentials that refer to a key pair.
func (v *visit) usersOf(name string) (users []string, err error) {
	all, err := v.store.List(v.r.Context())
	for _, info := range all {
		if info.KeyPairAlias == name && v.may(View, info.Name) {
			users = append(users, info.Name)
		}
	}
	return users, err
}

// attributesShown returns an artifact's attributes, without its secrets.
func attributesShown(a credstore.Artifact) (all []shown) {
	values := valuesOf(a)
	for _, attribute := range credstore.Attributes(a.Type()) {
		of := aboutOf(a.Type(), attribute.Name)
		s := shown{Label: of.Label, Value: values.shown(attribute)}
		if s.Value == "" && of.Default != "" && of.Group == "" {
			s.Value, s.Default = wordLabel(of.Default), true
		}
		if s.Value != "" && attribute.Name != "name" && attribute.Name != "description" {
			all = append(all, s)
		}
	}
	return all
}

// values are an artifact's attributes by their places, such as customParameters[0].key, as problems name them.
type values map[string]string

// valuesOf returns the values of an artifact, without its secrets.
func valuesOf(a credstore.Artifact) values {
	all := values{}
	text, err := credstore.FormatArtifacts([]credstore.Artifact{a})
	var read []map[string]any
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil || len(read) != 1 {
		return all // it has been read from the store, and can be written
	}
	for name, value := range read[0] {
		all.set(name, value)
	}
	return all
}

func (all values) set(at string, value any) {
	switch value := value.(type) {
	case string:
		all[at] = value
	case bool:
		all[at] = strconv.FormatBool(value)
	case float64:
		all[at] = strconv.FormatFloat(value, 'f', -1, 64)
	case []any:
		for i, element := range value {
			all.set(fmt.Sprintf("%s[%d]", at, i), element)
		}
	case map[string]any:
		for name, one := range value {
			all.set(at+"."+name, one)
		}
	}
}

// shown returns the value of an attribute in one text.
func (all values) shown(a credstore.Attribute) string {
	switch a.Kind {
	case credstore.OneWord:
		return wordLabel(all[a.Name])
	case credstore.Flag:
		if value, set := all[a.Name]; set {
			return map[string]string{"true": "Yes", "false": "No"}[value]
		}
		return ""
	case credstore.Texts:
		var lines []string
		for _, name := range all.names(a.Name) {
			lines = append(lines, name+": "+all[a.Name+"."+name])
		}
		return strings.Join(lines, "\n")
	case credstore.Objects:
		var lines []string
		for i := 0; ; i++ {
			at := fmt.Sprintf("%s[%d]", a.Name, i)
			key, more := all[at+".key"]
			if !more {
				return strings.Join(lines, "\n")
			}
			place := all[at+".sendAs"]
			if place == "" {
				place = "body"
			}
			lines = append(lines, key+" ("+place+")")
		}
	}
	return all[a.Name]
}

// try has a token fetched.
func (v *visit) try() {
	if !v.parsePosted() {
		return
	}
	began := time.Now()
	token, err := v.store.Try(v.r.Context(), v.name, strings.TrimSpace(v.r.PostForm.Get("user")))
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case errors.Is(err, credstore.ErrNotFound):
		v.failed(err)
		return
	case err != nil:
		v.showArtifact(&notice{Bad: true, Title: "No token came", Text: sentence(err.Error())})
		return
	}
	n := &notice{Title: "A token came", Text: "The credential works. The token is not shown.", Lines: []string{"It took " + took.String() + "."}}
	if !token.Expiry.IsZero() {
		n.Lines = append(n.Lines, fmt.Sprintf("It ends %s, at %s.", ago(token.Expiry, time.Now()), exactTime(token.Expiry)))
	}
	if len(token.Scopes) > 0 {
		n.Lines = append(n.Lines, "Its scopes are "+strings.Join(token.Scopes, " "))
	}
	if token.User != "" {
		n.Lines = append(n.Lines, "It is for the user "+token.User)
	}
	v.showArtifact(n)
}

// doneNotices are what a page says after something was done, by the word in its address.
var doneNotices = map[string]notice{
	"deployed":   {Title: "Deployed", Text: "Programs use it from now on."},
	"authorized": {Title: "Authorized", Text: "Tokens come by themselves from now on."},
	"deleted":    {Title: "Deleted", Text: "Programs that use it fail from now on."},
}

func doneNotice(r *http.Request) *notice {
	if n, known := doneNotices[r.URL.Query().Get("done")]; known {
		return &n
	}
	return nil
}
