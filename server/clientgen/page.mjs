// Opens the page at /docs of a server in Chromium, in light and dark. It fails if the page requests anything from another
// host, reports an error, or lacks what it is to show. With SEATHOLD_PICTURES it writes pictures into that folder.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const url = process.env.SEATHOLD_URL;
const browser = await chromium.launch({
  executablePath: process.env.SEATHOLD_CHROMIUM,
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});
const backgrounds = [];
try {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 1400, height: 1000 } });
    const page = await context.newPage();
    const requests = [];
    const faults = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => /error|warning/.test(message.type()) && faults.push(message.text()));
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(`${url}/docs`);
    for (const heading of ['Authentication', 'Idempotency and retries', 'Overload and Retry-After', 'Refusals']) {
      await page.getByRole('heading', { name: heading, exact: true }).first().waitFor();
    }
    await page.getByText('session_limit_exceeded').first().waitFor();
    backgrounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    if (process.env.SEATHOLD_PICTURES) {
      await page.screenshot({ path: `${process.env.SEATHOLD_PICTURES}/${colorScheme}.png` });
    }
    await page.getByRole('link', { name: 'Hold tickets, all lines or none' }).first().click();
    await page.getByRole('heading', { name: 'Hold tickets, all lines or none' }).first().waitFor();
    await page.getByText('curl').first().waitFor();
    if (process.env.SEATHOLD_PICTURES) {
      await page.screenshot({ path: `${process.env.SEATHOLD_PICTURES}/${colorScheme}-call.png` });
    }
    assert.deepEqual(faults, []);
    const own = requests.filter((request) => !request.startsWith('data:') && !request.startsWith('blob:'));
    assert.deepEqual(own.sort(), ['docs', 'docs/scalar.js', 'docs/start.js', 'openapi.yaml'].map((p) => `${url}/${p}`));
    await context.close();
  }
} finally {
  await browser.close();
}
assert.notEqual(backgrounds[0], backgrounds[1], 'light and dark have the same background');
console.log('done');
