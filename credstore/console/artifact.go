package console

import (
	"cmp"
	"errors"
	"net/http"
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

	IsCode, IsParameter, IsKeyPair           bool
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
		IsCode: info.Type == code, IsParameter: info.Type == parameter, IsKeyPair: info.Type == keyPair,
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
	if b.UsedBy, err = v.usersOf(&info); err != nil {
		v.failed(err)
		return
	}
	p := page{Title: v.name, Live: true, Notice: n, Body: b}
	if n != nil {
		p.Here = link("artifact", v.name)
	}
	v.show(http.StatusOK, "artifact", p)
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

// usersOf returns the credentials that refer to one, if it is a key pair.
func (v *visit) usersOf(pair *credstore.Info) (users []string, err error) {
	if pair.Type != keyPair {
		return nil, nil
	}
	all, err := v.store.List(v.r.Context())
	for _, info := range all {
		if info.KeyPairAlias == pair.Name && v.may(View, info.Name) {
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
