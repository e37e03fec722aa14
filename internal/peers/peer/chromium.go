package peer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"
)

// Chromium is a real browser, without a window on a screen. It has one page at a time, and is for one goroutine.
type Chromium struct {
	*process
	steps int
}

// Window is how a person sees the page.
type Window struct {
	Width    int  `json:"width"`    // in CSS pixels
	NoScript bool `json:"noScript"` // JavaScript is switched off
}

// StartChromium starts the browser. It skips the test if that is not installed.
func StartChromium(tb testing.TB) *Chromium {
	tb.Helper()
	p, _ := startScript(tb, "console", "server.mjs", map[string]string{"path": Program(tb, "chromium")})
	tb.Cleanup(func() { p.end(func() { _ = p.stdin.Close() }) })
	return &Chromium{process: p}
}

// step has the browser do something, and returns what came of it.
func (c *Chromium) step(tb testing.TB, step string, args any) json.RawMessage {
	tb.Helper()
	all := map[string]any{}
	text, err := json.Marshal(args)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		tb.Fatal(err)
	}
	c.steps++
	all["id"], all["step"] = c.steps, step
	if err := json.NewEncoder(c.stdin).Encode(all); err != nil {
		tb.Fatal(err)
	}
	said := c.await(tb, regexp.MustCompile(fmt.Sprintf(`(?m)^ANSWER %d (.*)\n`, c.steps)), 3*time.Minute)[1]
	var answer struct {
		Value json.RawMessage
		Error string
	}
	if err := json.Unmarshal([]byte(said), &answer); err != nil {
		tb.Fatal(err)
	}
	if answer.Error != "" {
		tb.Fatalf("the browser cannot %s %s: %s", step, text, answer.Error)
	}
	return answer.Value
}

// ask has the browser do something, and returns what came of it as what it is.
func ask[T any](tb testing.TB, c *Chromium, step string, args any) (answer T) {
	tb.Helper()
	if err := json.Unmarshal(c.step(tb, step, args), &answer); err != nil {
		tb.Fatal(err)
	}
	return answer
}

// Open opens a new window, without cookies. The last one is closed.
func (c *Chromium) Open(tb testing.TB, w Window) { tb.Helper(); c.step(tb, "open", w) }

// Dark has the browser of a person who likes dark pages, or light ones.
func (c *Chromium) Dark(tb testing.TB, dark bool) {
	tb.Helper()
	c.step(tb, "scheme", map[string]string{"scheme": map[bool]string{false: "light", true: "dark"}[dark]})
}

// Goto opens an address.
func (c *Chromium) Goto(tb testing.TB, url string) {
	tb.Helper()
	c.step(tb, "goto", map[string]string{"url": url})
}

// Click clicks on what has a role, such as link or button, and a name, and waits until the page is there.
func (c *Chromium) Click(tb testing.TB, role, name string) {
	tb.Helper()
	c.step(tb, "click", map[string]string{"role": role, "name": name})
}

// Fill fills in the field with a label.
func (c *Chromium) Fill(tb testing.TB, label, value string) {
	tb.Helper()
	c.step(tb, "fill", map[string]string{"label": label, "value": value})
}

// Select chooses in the field with a label.
func (c *Chromium) Select(tb testing.TB, label, value string) {
	tb.Helper()
	c.step(tb, "select", map[string]string{"label": label, "value": value})
}

// Input fills in what a CSS selector finds, on a page of others.
func (c *Chromium) Input(tb testing.TB, selector, value string) {
	tb.Helper()
	c.step(tb, "input", map[string]string{"selector": selector, "value": value})
}

// Press presses a key, such as Tab.
func (c *Chromium) Press(tb testing.TB, key string) {
	tb.Helper()
	c.step(tb, "press", map[string]string{"key": key})
}

// Text returns what is to be read on the page.
func (c *Chromium) Text(tb testing.TB) string {
	tb.Helper()
	return ask[string](tb, c, "text", struct{}{})
}

// URL returns the address of the page.
func (c *Chromium) URL(tb testing.TB) string {
	tb.Helper()
	return ask[string](tb, c, "url", struct{}{})
}

// Until waits until a text is on the page, which is not loaded again by anybody else.
func (c *Chromium) Until(tb testing.TB, text string, atMost time.Duration) {
	tb.Helper()
	c.step(tb, "until", map[string]any{"text": text, "seconds": atMost.Seconds()})
}

// Evaluate returns what a JavaScript expression is, as text.
func (c *Chromium) Evaluate(tb testing.TB, script string) string {
	tb.Helper()
	return ask[string](tb, c, "evaluate", map[string]string{"script": "String(" + script + ")"})
}

// Shot takes a picture of the window, or of the whole page.
func (c *Chromium) Shot(tb testing.TB, path string, whole bool) {
	tb.Helper()
	c.step(tb, "shot", map[string]any{"path": path, "whole": whole})
}

// Check returns what is wrong with the page by axe-core's rules, all or those that are named, and whether it is wider than the
// window.
func (c *Chromium) Check(tb testing.TB, rules ...string) []string {
	tb.Helper()
	return ask[[]string](tb, c, "check", map[string]any{"rules": rules})
}

// Complaints returns what the pages of a site have complained of in the window, such as what their policy has refused, and whom
// else they have asked.
func (c *Chromium) Complaints(tb testing.TB, site string) []string {
	tb.Helper()
	return ask[[]string](tb, c, "complaints", map[string]string{"site": site})
}
