package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
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
	UsedBy       users  // what refers to a key pair
	Redirect     string // the redirect URL of an authorization code; "": there is none
	History      []event

	IsCode, IsParameter, IsKeyPair           bool
	MayEdit, MayDelete, MayAuthorize, MayTry bool
}

// shown is an attribute with its value.
type shown struct {
	Label, Value string
	Link         string // to what the value names, or ""
	Default      bool   // it was left out
}

// users are the credentials that refer to a key pair.
type users struct {
	Names  []string // of those that the visitor may view
	More   int      // how many more there are of them
	Hidden int      // how many there are beside
}

// mostUsers is how many users of a key pair a page names.
const mostUsers = 100

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

func (v *visit) artifact() { v.showArtifact(nil) }

// showArtifact shows the page of the credential that the visit is about. n is what came of a test; nil: there was none.
func (v *visit) showArtifact(n *notice) {
	ctx := v.r.Context()
	events, err := v.store.History(ctx, v.name) // first: it stores what is not stored yet
	if err != nil {
		v.failed(err)
		return
	}
	info, err := v.store.Info(ctx, v.name)
	if deleted := slices.IndexFunc(events, func(e credstore.Event) bool { return e.What == credstore.EventUndeployed }); errors.Is(err, credstore.ErrNotFound) && deleted >= 0 {
		v.show(http.StatusNotFound, "message", page{Title: "There is no such credential", Body: message{Text: "It was deleted " + by(events[deleted]) + ".", History: eventsShown(events)}})
		return
	}
	if err != nil {
		v.failed(err)
		return
	}
	if n == nil {
		n = doneTo(v.r, &info)
	}
	info.Reason = said(info.Reason)
	now := time.Now()
	b := &artifactBody{
		Info: info, Badge: badgeOf(&info), Token: tokenLife(&info, now), Grant: grantLife(&info, now), Failed: sparklineOf(info.Failures, now),
		Adapters: adaptersFor(info.Type), History: eventsShown(events),
		IsCode: info.Type == code, IsParameter: info.Type == parameter, IsKeyPair: info.Type == keyPair,
		MayEdit: v.may(Deploy, v.name), MayDelete: v.may(Undeploy, v.name), MayAuthorize: info.Type == code && v.may(Authorize, v.name),
		MayTry: (info.Type == client || info.Type == saml || info.Type == code) && v.may(Try, v.name),
	}
	a, err := v.store.Artifact(ctx, v.name)
	if err == nil {
		b.Attributes = attributesShown(a)
		b.Redirect = v.redirectOf(a)
		b.MayAuthorize = b.MayAuthorize && b.Redirect != ""
	} else if !errors.Is(err, credstore.ErrUnreadable) && !errors.Is(err, credstore.ErrNotFound) {
		v.failed(err)
		return
	}
	if b.UsedBy, err = v.usersOf(&info); err != nil {
		v.failed(err)
		return
	}
	p := page{Title: v.name, Live: true, Notice: n, Body: b}
	if n != nil || v.r.URL.Query().Has("done") {
		p.Here = link("artifact", v.name)
	}
	v.show(http.StatusOK, "artifact", p)
}

// doneTo returns what the address says was done to a credential, if its status does not belie it.
func doneTo(r *http.Request, info *credstore.Info) *notice {
	words := []string{"deployed"}
	if info.Type == code && info.Status != credstore.Unauthorized {
		words = append(words, "authorized")
	}
	n := doneNotice(r.URL.Query(), words...)
	switch {
	case n == nil || info.Status == credstore.Deployed:
	case info.Status == credstore.Unauthorized:
		n.Text = "Programs can use it when it is authorized."
	default:
		n.Text = "It cannot be used yet: see below why."
	}
	return n
}

func eventsShown(events []credstore.Event) (all []event) {
	for _, e := range events {
		e.Reason = said(e.Reason)
		one := event{Title: cmp.Or(eventTitles[e.What], capital(e.What)), Event: e}
		if e.Failed {
			one.Class = "bad"
		}
		if e.Failed && e.What == credstore.EventTried {
			one.Title = "Test failed"
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

// noRedirect says what to do where an authorization code has no redirect URL.
const noRedirect = "There is none, so it cannot be authorized: set the redirect URL of this credential, or RedirectURL in the options of the program's store, to the address of the page callback beside this one."

// redirectOf returns where the provider of an authorization code sends people back to; "": nowhere, or it is none.
func (v *visit) redirectOf(a credstore.Artifact) string {
	own, ok := a.(*credstore.AuthorizationCode)
	if !ok {
		return ""
	}
	return cmp.Or(own.RedirectURL, v.store.RedirectURL())
}

// usersOf returns the credentials that refer to one, if it is a key pair.
func (v *visit) usersOf(pair *credstore.Info) (u users, err error) {
	if pair.Type != keyPair {
		return u, nil
	}
	all, err := v.store.List(v.r.Context())
	for _, info := range all {
		switch {
		case info.KeyPairAlias != pair.Name:
		case v.may(View, info.Name):
			u.Names = append(u.Names, info.Name)
		default:
			u.Hidden++
		}
	}
	u.More = max(len(u.Names)-mostUsers, 0)
	u.Names = u.Names[:len(u.Names)-u.More]
	return u, err
}

// attributesShown returns an artifact's attributes, without its secrets.
func attributesShown(a credstore.Artifact) (all []shown) {
	values := valuesOf(a)
	for _, attribute := range credstore.Attributes(a.Type()) {
		of := aboutOf(a.Type(), attribute.Name)
		s := shown{Label: of.Label, Value: values.shown(attribute)}
		switch attribute.Name {
		case "keyPairAlias":
			s.Link = link("artifact", s.Value)
		case "tokenServiceUrl", "revocationUrl": // who may see it may not be one who may know a key in it
			if address, _, found := strings.Cut(s.Value, "?"); found {
				s.Value = address + "?…"
			}
		}
		if s.Value == "" && of.Default != "" && of.Group == "" {
			s.Value, s.Default = wordLabel(of.Default), true
		}
		if s.Value != "" && attribute.Name != "name" && attribute.Name != "description" {
			all = append(all, s)
		}
	}
	return all
}
