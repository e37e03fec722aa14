package samlbearer

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

const entityFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

// accept checks what a verified assertion says, and returns the time from which it cannot pass again.
func (f Forwarded) accept(assertion *etree.Element, user string, now time.Time) (until time.Time, err error) {
	parts, err := partsOf(assertion)
	if err != nil {
		return until, err
	}
	clock := clock{now: now, skew: f.Skew}
	if err := clock.begun(assertion, "IssueInstant", required); err != nil {
		return until, err
	}
	if err := f.checkIssuer(parts.issuer); err != nil {
		return until, err
	}
	if err := f.checkSubject(parts.subject, user, &clock); err != nil {
		return until, err
	}
	if err := f.checkConditions(parts.conditions, &clock); err != nil {
		return until, err
	}
	for _, statement := range parts.authn {
		if err := clock.ends(statement, "SessionNotOnOrAfter", optional); err != nil {
			return until, err
		}
	}
	if clock.end.Sub(now) > maxLifetime {
		return until, errors.New("ends more than 24 hours from now: have it issued for minutes")
	}
	return clock.end.Add(f.Skew), nil
}

type parts struct {
	issuer, subject, conditions *etree.Element
	authn                       []*etree.Element
}

// partsOf finds the parts of an assertion and refuses any that it does not know (SAML 2.0 Core 2.3.3).
func partsOf(assertion *etree.Element) (*parts, error) {
	children, err := childrenOf(assertion, "ID", "Version", "IssueInstant")
	if err != nil {
		return nil, err
	}
	if !isNamed(assertion, assertionNS, "Assertion") || assertion.SelectAttrValue("Version", "") != "2.0" {
		return nil, errors.New("is not a SAML 2.0 Assertion: its Version must be 2.0")
	}
	found := map[string][]*etree.Element{}
	for _, child := range children {
		if child.NamespaceURI() != assertionNS || !slices.Contains([]string{"Issuer", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"}, child.Tag) {
			return nil, errors.New("has a part other than Issuer, Signature, Subject, Conditions, AuthnStatement and AttributeStatement")
		}
		found[child.Tag] = append(found[child.Tag], child)
	}
	for _, once := range []string{"Issuer", "Subject", "Conditions"} {
		if len(found[once]) != 1 {
			return nil, errors.New(once + ": must be there exactly once")
		}
	}
	return &parts{found["Issuer"][0], found["Subject"][0], found["Conditions"][0], found["AuthnStatement"]}, nil
}

func (f Forwarded) checkIssuer(issuer *etree.Element) error {
	name, err := textOf(issuer, "Format")
	switch {
	case err != nil:
		return err
	case issuer.SelectAttrValue("Format", entityFormat) != entityFormat:
		return errors.New("Issuer: must have the format entity, or none")
	case name != f.Issuer:
		return errors.New("Issuer: is not the configured one, Forwarded.Issuer")
	}
	return nil
}

// checkSubject wants the user's NameID and a bearer confirmation that fits as a whole: one that fits by half and another that
// fits by the other half do not.
func (f Forwarded) checkSubject(subject *etree.Element, user string, clock *clock) error {
	children, err := childrenOf(subject)
	if err != nil {
		return err
	}
	if len(children) == 0 || !isNamed(children[0], assertionNS, "NameID") {
		return errors.New("Subject: must begin with a NameID")
	}
	if err := f.checkNameID(children[0], user); err != nil {
		return err
	}
	why := errors.New("SubjectConfirmation: there is none for a bearer")
	var end time.Time
	for _, confirmation := range children[1:] {
		if !isNamed(confirmation, assertionNS, "SubjectConfirmation") {
			return errors.New("Subject: must be one NameID and SubjectConfirmations")
		}
		if confirmation.SelectAttrValue("Method", "") != bearer {
			continue
		}
		own := *clock
		if why = f.checkConfirmation(confirmation, &own); why == nil && own.end.After(end) {
			end = own.end
		}
	}
	if end.IsZero() {
		return why
	}
	clock.end = end
	return nil
}

func (f Forwarded) checkNameID(el *etree.Element, user string) error {
	nameID, err := textOf(el, "Format", "NameQualifier", "SPNameQualifier", "SPProvidedID")
	switch {
	case err != nil:
		return err
	case nameID == "" || strings.ContainsAny(nameID, "\t\r\n\uFFFD"):
		return errors.New("NameID: is empty, or has a tab, a line break or a character that was lost on the way")
	case !f.MatchUser(user, nameID):
		return errors.New("NameID: is not the user's: Forwarded.Received must return the assertion of the user that it is called with")
	}
	return nil
}

func (f Forwarded) checkConfirmation(confirmation *etree.Element, clock *clock) error {
	children, err := childrenOf(confirmation, "Method")
	if err != nil {
		return err
	}
	if !areNamed(children, assertionNS, "SubjectConfirmationData") {
		return errors.New("SubjectConfirmation: must be SubjectConfirmationData alone")
	}
	data := children[0]
	below, err := childrenOf(data, "Recipient", "NotBefore", "NotOnOrAfter", "InResponseTo", "Address")
	switch {
	case err != nil:
		return err
	case len(below) > 0:
		return errors.New("SubjectConfirmationData: must be empty for a bearer")
	case data.SelectAttrValue("Recipient", "") != f.Recipient:
		return errors.New("SubjectConfirmationData: Recipient is not the configured one, Forwarded.Recipient")
	}
	return clock.within(data, required)
}

// checkConditions wants every restriction to name the audience (SAML 2.0 Core 2.5.1.4) and refuses conditions that it does not
// know (2.5.1.1).
func (f Forwarded) checkConditions(conditions *etree.Element, clock *clock) error {
	children, err := childrenOf(conditions, "NotBefore", "NotOnOrAfter")
	if err != nil {
		return err
	}
	restricted, oneTime := false, false
	for _, condition := range children {
		switch {
		case isNamed(condition, assertionNS, "AudienceRestriction"):
			restricted = true
			if err := f.checkAudience(condition); err != nil {
				return err
			}
		case isNamed(condition, assertionNS, "OneTimeUse") && !oneTime: // a Client uses each but once anyway
			oneTime = true
			if below, err := childrenOf(condition); err != nil || len(below) > 0 {
				return errors.New("OneTimeUse: must be empty")
			}
		default:
			return errors.New("Conditions: has one other than AudienceRestriction and one OneTimeUse")
		}
	}
	if !restricted {
		return errors.New("Conditions: must have an AudienceRestriction")
	}
	return clock.within(conditions, optional)
}

func (f Forwarded) checkAudience(restriction *etree.Element) error {
	audiences, err := childrenOf(restriction)
	if err != nil {
		return err
	}
	named := false
	for _, audience := range audiences {
		if !isNamed(audience, assertionNS, "Audience") {
			return errors.New("AudienceRestriction: must be Audiences alone")
		}
		name, err := textOf(audience)
		if err != nil {
			return err
		}
		named = named || name == f.Audience
	}
	if !named {
		return errors.New("AudienceRestriction: does not name the configured audience, Forwarded.Audience")
	}
	return nil
}

// A clock compares times with now, and keeps the earliest end.
type clock struct {
	now  time.Time
	skew time.Duration
	end  time.Time
}

const (
	optional = false
	required = true
)

// within checks NotBefore, which may be left out, and NotOnOrAfter.
func (c *clock) within(el *etree.Element, needsEnd bool) error {
	if err := c.begun(el, "NotBefore", optional); err != nil {
		return err
	}
	return c.ends(el, "NotOnOrAfter", needsEnd)
}

// begun refuses a time in the future.
func (c *clock) begun(el *etree.Element, attr string, needed bool) error {
	t, found, err := timeOf(el, attr, needed)
	if err != nil || !found {
		return err
	}
	if c.now.Add(c.skew).Before(t) {
		return errors.New(el.Tag + ": " + attr + " is in the future: compare the issuer's clock with this machine's")
	}
	return nil
}

// ends refuses a time that is not in the future.
func (c *clock) ends(el *etree.Element, attr string, needed bool) error {
	t, found, err := timeOf(el, attr, needed)
	if err != nil || !found {
		return err
	}
	if !c.now.Add(-c.skew).Before(t) {
		return errors.New(el.Tag + ": " + attr + " is over: Forwarded.Received must return a fresh assertion")
	}
	if c.end.IsZero() || t.Before(c.end) {
		c.end = t
	}
	return nil
}

// utcTime is what SAML leaves of xs:dateTime (SAML 2.0 Core 1.3.3).
var utcTime = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$`)

func timeOf(el *etree.Element, attr string, needed bool) (t time.Time, found bool, err error) {
	value := el.SelectAttr(attr)
	if value == nil && !needed {
		return t, false, nil
	}
	if value != nil && utcTime.MatchString(value.Value) {
		if t, err = time.Parse(time.RFC3339Nano, value.Value); err == nil {
			return t, true, nil
		}
	}
	return t, false, errors.New(el.Tag + ": " + attr + " must be a time in UTC, such as 2006-01-02T15:04:05Z")
}
