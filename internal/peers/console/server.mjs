// A headless Chromium that does what it is told: a line of JSON on standard input is a step, and the answer is a line ANSWER, its
// number, and JSON: what came of it, or why it failed.
//
// CONFIG names a JSON file with the browser's path. It prints READY when the browser has started, and ends with its standard
// input.
import fs from 'node:fs';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const config = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath: config.path, args: ['--no-sandbox', '--disable-gpu'] });

let context, page;
let complaints = [];

const steps = {
  // open opens a new window, and forgets the last one with its cookies.
  async open({ width, noScript }) {
    await context?.close();
    context = await browser.newContext({ viewport: { width, height: 900 }, javaScriptEnabled: !noScript, ignoreHTTPSErrors: true });
    context.setDefaultTimeout(10000);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    complaints = [];
    page = await context.newPage();
    // What a page itself complains of, such as what its policy refuses, and whom it asks. An answer that is an error is for the
    // test to judge.
    const complain = (text) => complaints.push({ page: page.url(), text });
    page.on('console', (m) => { if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) complain(m.text()); });
    page.on('pageerror', (e) => complain(String(e)));
    page.on('request', (r) => { if (!r.isNavigationRequest() && new URL(r.url()).host !== new URL(page.url()).host) complain(`asks another host: ${r.url()}`); });
  },
  scheme: async ({ scheme }) => { await page.emulateMedia({ colorScheme: scheme }); },
  goto: async ({ url }) => { await page.goto(url); },
  click: async ({ role, name }) => { await page.getByRole(role, { name, exact: true }).first().click(); await page.waitForLoadState(); },
  fill: async ({ label, value }) => { await page.getByLabel(label, { exact: true }).fill(value); },
  select: async ({ label, value }) => { await page.getByLabel(label, { exact: true }).selectOption(value); },
  input: async ({ selector, value }) => { await page.fill(selector, value); },
  press: async ({ key }) => { await page.keyboard.press(key); },
  text: async () => page.innerText('body'),
  url: async () => page.url(),
  // until waits for a text on the page, without loading it again.
  until: async ({ text, seconds }) => { await page.waitForFunction((text) => document.body.innerText.includes(text), text, { timeout: seconds * 1000 }); },
  evaluate: async ({ script }) => page.evaluate(script),
  // shot asks again when Chromium is "unable to capture", which it is now and then, and not for long.
  async shot({ path, whole }) {
    for (let more = 2; ; more--) {
      try {
        return void await page.screenshot({ path, fullPage: whole });
      } catch (e) {
        if (!more || !e.message.includes('Unable to capture screenshot')) throw e;
      }
    }
  },
  complaints: async ({ site }) => complaints.filter((c) => c.page.startsWith(site)).map((c) => `${c.page}: ${c.text}`),
  // check returns what is wrong with the page for people who hear it or use keys, and whether it is wider than the window.
  async check({ rules }) {
    if (await page.evaluate(() => !window.axe)) await page.evaluate(axe);
    const runOnly = rules ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const found = await page.evaluate((runOnly) => axe.run({ runOnly }), runOnly);
    const wrong = found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html}: ${n.failureSummary}`));
    if (await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)) wrong.push('it is wider than the window');
    return wrong;
  },
};

console.log('READY chromium');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, step, ...args } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await steps[step](args)) ?? null };
  } catch (e) {
    answer = { error: String(e.message ?? e) };
  }
  console.log(`ANSWER ${id} ${JSON.stringify(answer)}`);
}
await browser.close();
