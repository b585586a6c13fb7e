// A95 The settings: backups of the appliance and drills, versions, sessions, and the audit log.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { request } from 'playwright-core';
import { launch, open, portrait } from './lib/browser.js';
import { double, given, password } from './lib/target.js';

const skip = given ? 'these need the double' : false;
const root = mkdtempSync(join(tmpdir(), 'hks-double-'));

/** @type {Awaited<ReturnType<typeof double>>} */
let to;
/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;

before(async () => {
	if (skip) return;
	to = await double(['-seed', '-password', password, '-root', root]);
	browser = await launch();
	const { page } = await open(browser.context);
	await page.goto(`${to.url}/login`);
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Log in' }).click();
	await page.getByRole('heading', { name: 'Apps', exact: true }).waitFor();
	await page.close();
});

after(async () => {
	await browser?.close();
	await to?.stop();
	rmSync(root, { recursive: true, force: true });
});

test('A95 the appliance is saved, tried, and its recovery key shown', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/settings`);
	const card = page.getByRole('region', { name: 'Backups of the appliance' });
	await card.getByText('Never tried').waitFor();
	await card.getByText('Nobody has seen the recovery key yet').waitFor();
	await card.getByRole('button', { name: 'Back up now', exact: true }).click();
	const dialog = page.getByRole('dialog', { name: 'Back up the appliance' });
	await dialog.getByLabel('With the volumes too').check();
	assert.equal(await dialog.locator('.cli code').innerText(), 'hks appliance backup create --volumes');
	await dialog.getByLabel('With the volumes too').uncheck();
	await dialog.getByRole('button', { name: 'Back up', exact: true }).click();
	const row = card.getByRole('table', { name: 'Backups of the appliance' }).getByRole('row').nth(1);
	await row.getByText('manual').waitFor();
	await row.getByRole('button', { name: 'Try backup 1' }).click();
	await card.getByText('last drill good').waitFor();
	await card.getByText('no cluster was started from it').waitFor();
	await row.getByText('good', { exact: true }).waitFor();

	const [download] = await Promise.all([page.waitForEvent('download'), row.getByRole('link', { name: 'Download backup 1' }).click()]);
	assert.match(download.suggestedFilename(), /^hks-\d{8}T\d{6}Z-1\.archive$/);

	await card.getByRole('button', { name: 'Show the recovery key' }).click();
	await card.getByText('AGE-SECRET-KEY-1').waitFor();
	await card.getByText('Nobody has seen the recovery key yet').waitFor({ state: 'detached' });
	await portrait(page, 'settings');

	await row.getByRole('button', { name: 'Delete backup 1' }).click();
	const doomed = page.getByRole('dialog', { name: 'Delete backup 1?' });
	assert.ok(await doomed.getByRole('button', { name: 'Delete', exact: true }).isDisabled(), 'nothing was typed');
	await doomed.getByLabel('Type 1').fill('1');
	await doomed.getByRole('button', { name: 'Delete', exact: true }).click();
	await card.getByRole('table', { name: 'Backups of the appliance' }).waitFor({ state: 'detached' });
	quiet();
	await page.close();
});

test('A95 versions and browsers are shown; another browser is logged out', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	const other = await request.newContext({ ignoreHTTPSErrors: true }); // cookies of its own
	assert.equal((await other.post(`${to.url}/api/login`, { data: { password } })).status(), 204);
	await other.dispose();
	await page.goto(`${to.url}/settings`);
	await page.getByText('0.2.0 is there').waitFor();
	const browsers = page.getByRole('region', { name: 'Browsers' });
	await browsers.getByText('This browser').waitFor();
	const one = browsers.getByRole('listitem').filter({ hasText: 'Another browser' });
	await one.first().waitFor();
	const before = await one.count();
	await one.first().getByRole('button', { name: 'Log out' }).click();
	await page.waitForFunction((n) => [...document.querySelectorAll('li')].filter((li) => li.textContent?.includes('Another browser')).length === n, before - 1);
	quiet();
	await page.close();
});

test('A95 the audit log says who did what, and finds it', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/settings`);
	await page.getByRole('link', { name: 'Audit log' }).click();
	const table = page.getByRole('table', { name: 'Entries' });
	await table.getByText('POST /api/appliance/recovery-key').first().waitFor();
	await table.getByText('POST /api/login').first().waitFor();
	await page.getByLabel('Request or target').fill('recovery-key');
	await table.getByText('POST /api/login').first().waitFor({ state: 'detached' });
	await table.getByText('POST /api/appliance/recovery-key').first().waitFor();
	assert.equal(await page.locator('.cli code').innerText(), 'hks audit --text recovery-key');
	await page.getByLabel('Only what was refused or failed').check();
	await page.getByText('There is no such entry.').waitFor();
	await portrait(page, 'audit', { full: false });
	quiet();
	await page.close();
});
