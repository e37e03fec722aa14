package samlbearer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestForwardedValues(t *testing.T) {
	t.Parallel()
	changed := func(piece, by string) string { return signedByIssuer(with(honestText, piece, by)) }
	nameID := elementOf(honestText, "saml:NameID")
	confirmation := elementOf(honestText, "saml:SubjectConfirmation")
	restriction := elementOf(honestText, "saml:AudienceRestriction")
	testAttacks(t, map[string]attack{
		"another user":              {changed(fwdUser, fwdMallory), "NameID: is not the user's"},
		"user in other case":        {changed(fwdUser, strings.ToUpper(fwdUser)), "NameID: is not the user's"},
		"user and a blank":          {changed(fwdUser, fwdUser+" "), "NameID: is not the user's"},
		"user in an escaped tag":    {changed(fwdUser, fwdUser+"&lt;!-- --&gt;"), "NameID: is not the user's"},
		"an empty user":             {changed(fwdUser, ""), "NameID: is empty"},
		"no NameID":                 {changed(nameID, ""), "Subject: must begin with a NameID"},
		"two NameIDs":               {changed(nameID, nameID+with(nameID, fwdUser, fwdMallory)), "Subject: must be one NameID and"},
		"a NameID at the end":       {changed("</saml:Subject>", with(nameID, fwdUser, fwdMallory)+"</saml:Subject>"), "Subject: must be one NameID and"},
		"a BaseID":                  {changed(nameID, "<saml:BaseID></saml:BaseID>"), "Subject: must begin with a NameID"},
		"an EncryptedID":            {changed(nameID, "<saml:EncryptedID></saml:EncryptedID>"), saysForeign},
		"a NameID of elsewhere":     {changed(nameID, `<x:NameID xmlns:x="urn:x">`+fwdUser+"</x:NameID>"), "Subject: must begin with a NameID"},
		"an attribute of NameID":    {changed("<saml:NameID ", `<saml:NameID Extra="" `), "NameID: has an attribute"},
		"text in Subject":           {changed("<saml:Subject>", "<saml:Subject>"+fwdUser), "Subject: must have no text"},
		"an attribute of Subject":   {changed("<saml:Subject>", `<saml:Subject a="">`), "Subject: has an attribute"},
		"no Subject":                {changed(elementOf(honestText, "saml:Subject"), ""), "Subject: must be there exactly once"},
		"two Subjects":              {changed("</saml:Subject>", "</saml:Subject>"+with(elementOf(honestText, "saml:Subject"), fwdUser, fwdMallory)), "Subject: must be there exactly once"},
		"another issuer":            {changed(fwdIssuer, "https://evil.example"), "Issuer: is not the configured one"},
		"issuer in other case":      {changed(fwdIssuer, strings.ToUpper(fwdIssuer)), "Issuer: is not the configured one"},
		"issuer and a slash":        {changed(fwdIssuer, fwdIssuer+"/"), "Issuer: is not the configured one"},
		"an empty issuer":           {changed(fwdIssuer, ""), "Issuer: is not the configured one"},
		"two issuers":               {changed("<saml:Subject>", "<saml:Issuer>"+fwdIssuer+"</saml:Issuer><saml:Subject>"), "Issuer: must be there exactly once"},
		"a format of the issuer":    {changed("<saml:Issuer>", `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName">`), "Issuer: must have the format entity"},
		"a qualifier of the issuer": {changed("<saml:Issuer>", `<saml:Issuer NameQualifier="x">`), "Issuer: has an attribute"},

		"no confirmation":                     {changed(confirmation, ""), "SubjectConfirmation: there is none for a bearer"},
		"holder of key":                       {changed("cm:bearer", "cm:holder-of-key"), "SubjectConfirmation: there is none for a bearer"},
		"sender vouches":                      {changed("cm:bearer", "cm:sender-vouches"), "SubjectConfirmation: there is none for a bearer"},
		"no method":                           {changed(` Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"`, ""), "SubjectConfirmation: there is none for a bearer"},
		"no confirmation data":                {changed(confirmation, withoutElement(confirmation, "saml:SubjectConfirmationData")), "must be SubjectConfirmationData alone"},
		"an ID in the confirmation":           {changed("<saml:SubjectConfirmationData", nameID+"<saml:SubjectConfirmationData"), "must be SubjectConfirmationData alone"},
		"keys in the confirmation data":       {changed("></saml:SubjectConfirmationData>", `><x xmlns="urn:x"></x></saml:SubjectConfirmationData>`), "SubjectConfirmationData: must be empty for a bearer"},
		"another recipient":                   {changed(fwdRecipient, "https://evil.example/oauth/token"), "Recipient is not the configured one"},
		"recipient with a query":              {changed(fwdRecipient, fwdRecipient+"?a"), "Recipient is not the configured one"},
		"no recipient":                        {changed(` Recipient="`+fwdRecipient+`"`, ""), "Recipient is not the configured one"},
		"recipient of another namespace":      {changed(` NotOnOrAfter="2000-01-01T00:10:00Z" Recipient=`, ` xmlns:x="urn:x" NotOnOrAfter="2000-01-01T00:10:00Z" x:Recipient=`), "SubjectConfirmationData: has an attribute"},
		"no end of the confirmation":          {changed(` NotOnOrAfter="2000-01-01T00:10:00Z"`, ""), "SubjectConfirmationData: NotOnOrAfter must be a time"},
		"recipient in one, time in the other": {changed(confirmation, bearerFor(fwdRecipient, "1999-12-31T23:00:00Z")+bearerFor("https://evil.example", "2000-01-01T00:10:00Z")), "Recipient is not the configured one"},
		"time in one, recipient in the other": {changed(confirmation, bearerFor("https://evil.example", "2000-01-01T00:10:00Z")+bearerFor(fwdRecipient, "1999-12-31T23:00:00Z")), "SubjectConfirmationData: NotOnOrAfter is over"},

		"another audience":                {changed(fwdAudience, "https://evil.example"), "does not name the configured audience"},
		"an audience in escapes":          {changed(fwdAudience, fwdAudience+"&lt;x/&gt;"), "does not name the configured audience"},
		"an empty audience":               {changed(fwdAudience, ""), "does not name the configured audience"},
		"an empty restriction":            {changed(restriction, "<saml:AudienceRestriction></saml:AudienceRestriction>"), "does not name the configured audience"},
		"a second restriction, of others": {changed(restriction, restriction+with(restriction, fwdAudience, "https://evil.example")), "does not name the configured audience"},
		"no restriction":                  {changed(restriction, ""), "Conditions: must have an AudienceRestriction"},
		"another element for Audience":    {changed(restriction, "<saml:AudienceRestriction><saml:NameID>"+fwdAudience+"</saml:NameID></saml:AudienceRestriction>"), "AudienceRestriction: must be Audiences alone"},
		"an attribute of Audience":        {changed("<saml:Audience>", `<saml:Audience a="">`), "Audience: has an attribute"},
		"no conditions":                   {changed(elementOf(honestText, "saml:Conditions"), ""), "Conditions: must be there exactly once"},
		"two conditions":                  {changed("</saml:Conditions>", "</saml:Conditions>"+elementOf(honestText, "saml:Conditions")), "Conditions: must be there exactly once"},
		"a condition unknown":             {changed(restriction, restriction+"<saml:Condition></saml:Condition>"), "Conditions: has one other than"},
		"ProxyRestriction":                {changed(restriction, restriction+`<saml:ProxyRestriction Count="0"></saml:ProxyRestriction>`), "Conditions: has one other than"},
		"OneTimeUse twice":                {changed(restriction, restriction+"<saml:OneTimeUse></saml:OneTimeUse><saml:OneTimeUse></saml:OneTimeUse>"), "Conditions: has one other than"},
		"OneTimeUse with content":         {changed(restriction, restriction+"<saml:OneTimeUse><x></x></saml:OneTimeUse>"), "OneTimeUse: must be empty"},
		"a condition of elsewhere":        {changed(restriction, restriction+`<x:OneTimeUse xmlns:x="urn:x"></x:OneTimeUse>`), "Conditions: has one other than"},
		"an attribute of the conditions":  {changed("<saml:Conditions ", `<saml:Conditions A="" `), "Conditions: has an attribute"},
	})
}

// The clock stands at 2000-01-01T00:00:00Z, and the skew is 90 s: each time is tried a nanosecond inside of its edge, at it, and
// a nanosecond outside.
func TestForwardedTimesAtTheEdges(t *testing.T) {
	t.Parallel()
	const skew = 90 * time.Second
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		place string // where the time stands in honestText
		start bool   // else it is an end
		says  string
	}{
		"IssueInstant":       {`IssueInstant="2000-01-01T00:00:00Z"`, true, "Assertion: IssueInstant is in the future"},
		"conditions start":   {`NotBefore="1999-12-31T23:50:00Z"`, true, "Conditions: NotBefore is in the future"},
		"conditions end":     {`NotOnOrAfter="2000-01-01T00:10:00.000Z"`, false, "Conditions: NotOnOrAfter is over"},
		"confirmation start": {`NotBefore="TIME" NotOnOrAfter="2000-01-01T00:10:00Z"`, true, "SubjectConfirmationData: NotBefore is in the future"},
		"confirmation end":   {`NotOnOrAfter="2000-01-01T00:10:00Z"`, false, "SubjectConfirmationData: NotOnOrAfter is over"},
		"session end":        {`SessionNotOnOrAfter="2000-01-01T08:00:00Z"`, false, "AuthnStatement: SessionNotOnOrAfter is over"},
	} {
		text := strings.Replace(honestText, `<saml:SubjectConfirmationData NotOnOrAfter`, `<saml:SubjectConfirmationData NotBefore="TIME" NotOnOrAfter`, 1)
		if name != "confirmation start" {
			text = honestText
		}
		attr, _, _ := strings.Cut(c.place, "=")
		tail := ""
		if name == "confirmation start" {
			tail = ` NotOnOrAfter="2000-01-01T00:10:00Z"`
		}
		at := func(instant time.Time) string {
			return signedByIssuer(with(text, c.place, attr+`="`+instant.Format("2006-01-02T15:04:05.000000000Z")+`"`+tail))
		}
		edge, inside := now.Add(-skew), time.Nanosecond
		if c.start {
			edge, inside = now.Add(skew), -time.Nanosecond
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarding(at(edge.Add(inside)))
			f.Skew = skew
			requireForwarded(t, f, at(edge.Add(inside)))

			f = forwarding(at(edge))
			f.Skew = skew
			if c.start {
				requireForwarded(t, f, at(edge)) // it may be used from then on
			} else {
				requireRefused(t, f, c.says) // it may be used before then
			}

			f = forwarding(at(edge.Add(-inside)))
			f.Skew = skew
			requireRefused(t, f, c.says)
		})
	}
}

func TestForwardedDefaultSkewIsAMinute(t *testing.T) {
	t.Parallel()
	at := func(end string) string { return signedByIssuer(with(honestText, "2000-01-01T00:10:00Z", end)) }
	requireForwarded(t, forwarding(at("1999-12-31T23:59:00.001Z")), at("1999-12-31T23:59:00.001Z"))
	requireRefused(t, forwarding(at("1999-12-31T23:59:00Z")), "NotOnOrAfter is over")
}

func TestForwardedTimeForms(t *testing.T) {
	t.Parallel()
	const end = `NotOnOrAfter="2000-01-01T00:10:00Z"`
	for _, form := range []string{"2000-01-01T00:10:00Z", "2000-01-01T00:10:00.1Z", "2000-01-01T00:10:00.1234567Z", "2000-01-01T00:10:00.123456789Z"} {
		text := signedByIssuer(with(honestText, end, `NotOnOrAfter="`+form+`"`))
		requireForwarded(t, forwarding(text), text)
	}
	for _, form := range []string{
		"", "soon", "2000-01-01", "2000-01-01T00:10:00", "2000-01-01T00:10:00+00:00", "2000-01-01T02:10:00+02:00", "2000-01-01T00:10:00-14:00", "2000-01-01t00:10:00z",
		"2000-01-01 00:10:00Z", " 2000-01-01T00:10:00Z", "2000-01-01T00:10:00Z ", "2000-01-01T0:10:00Z", "2000-01-01T00:10Z", "2000-01-01T00:10:00,5Z", "2000-01-01T00:10:00.Z",
		"2000-01-01T00:10:00.1234567890Z", "2000-02-30T00:10:00Z", "2000-13-01T00:10:00Z", "2000-01-01T24:00:00Z", "2000-01-01T00:10:60Z", "12000-01-01T00:10:00Z", "-2000-01-01T00:10:00Z",
		"946685400", "٢000-01-01T00:10:00Z", "2000-01-01T00:10:00Z2000-01-01T00:10:00Z",
	} {
		requireRefused(t, forwarding(signedByIssuer(with(honestText, end, `NotOnOrAfter="`+form+`"`))), "NotOnOrAfter must be a time in UTC")
	}
	testAttacks(t, map[string]attack{
		"no IssueInstant":       {signedByIssuer(with(honestText, ` IssueInstant="2000-01-01T00:00:00Z"`, "")), "IssueInstant must be a time"},
		"an odd start":          {signedByIssuer(with(honestText, `"1999-12-31T23:50:00Z"`, `"yesterday"`)), "Conditions: NotBefore must be a time"},
		"an odd end of session": {signedByIssuer(with(honestText, `"2000-01-01T08:00:00Z"`, `"tonight"`)), "SessionNotOnOrAfter must be a time"},
	})
}

// A replay is remembered until the assertion ends: that has to be soon.
func TestForwardedEndsWithinADay(t *testing.T) {
	t.Parallel()
	until := func(confirmation, conditions, session string) string {
		text := with(honestText, `NotOnOrAfter="2000-01-01T00:10:00Z"`, `NotOnOrAfter="`+confirmation+`"`)
		text = with(text, `NotOnOrAfter="2000-01-01T00:10:00.000Z"`, `NotOnOrAfter="`+conditions+`"`)
		return signedByIssuer(with(text, `SessionNotOnOrAfter="2000-01-01T08:00:00Z"`, `SessionNotOnOrAfter="`+session+`"`))
	}
	const day, later, never = "2000-01-02T00:00:00Z", "2000-01-02T00:00:00.001Z", "9999-12-31T23:59:59Z"
	for _, text := range []string{until(day, never, never), until(never, day, never), until(never, never, day)} {
		requireForwarded(t, forwarding(text), text)
	}
	for _, text := range []string{until(later, later, later), until(never, never, never)} {
		requireRefused(t, forwarding(text), "ends more than 24 hours from now")
	}
}

// A later bearer confirmation that fits, too, keeps the assertion alive for longer.
func TestForwardedUntil(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"earliest of all":       {honestText, "2000-01-01T00:11:00Z"},
		"latest confirmation":   {with(with(honestText, "</saml:Subject>", bearerFor(fwdRecipient, "2000-01-01T00:08:00Z")+bearerFor(fwdRecipient, "2000-01-01T00:05:00Z")+"</saml:Subject>"), `NotOnOrAfter="2000-01-01T00:10:00Z"`, `NotOnOrAfter="2000-01-01T00:01:00Z"`), "2000-01-01T00:09:00Z"},
		"not one for elsewhere": {with(with(honestText, "</saml:Subject>", bearerFor("https://elsewhere.example", "2000-01-01T00:08:00Z")+"</saml:Subject>"), `NotOnOrAfter="2000-01-01T00:10:00Z"`, `NotOnOrAfter="2000-01-01T00:01:00Z"`), "2000-01-01T00:02:00Z"},
		"session":               {with(honestText, "2000-01-01T08:00:00Z", "2000-01-01T00:03:00Z"), "2000-01-01T00:04:00Z"},
		"conditions":            {with(honestText, "2000-01-01T00:10:00.000Z", "2000-01-01T00:03:00Z"), "2000-01-01T00:04:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, until, err := checkedAt2000(t, forwarding(signedByIssuer(c.text)))
			require.NoError(t, err)
			require.Equal(t, c.want, until.UTC().Format(time.RFC3339))
		})
	}
}
