// A19 How many instances there are: a fixed number, or as the load needs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { counted, launch, open, portrait } from './lib/browser.js';
import { double, given, password } from './lib/target.js';

/** @typedef {import('playwright-core').Page} Page */

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

/** The command shown in the dialog. @param {Page} page */
const command = (page) => page.locator('dialog .cli code').innerText();

test('A19 a component follows the load, shows what was measured, and is fixed again', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/apps/shop/staging`);
	const scale = page.getByRole('button', { name: 'Scale backend', exact: true });
	await scale.click();
	const dialog = page.getByRole('dialog', { name: 'Scale shop' });
	assert.equal(await dialog.getByLabel('Number of instances').inputValue(), 'a fixed number');
	await dialog.getByLabel('Number of instances').selectOption('follows the load');
	const submit = dialog.getByRole('button', { name: 'Scale', exact: true });

	await dialog.getByLabel('At least').fill('4');
	await dialog.getByText('From 5 to 100.').waitFor();
	assert.ok(await submit.isDisabled(), 'nothing to scale between 4 and 4');
	await dialog.getByLabel('At least').fill('2');
	await dialog.getByLabel('CPU, percent').fill('5');
	await dialog.getByText('From 10 to 100 %.').waitFor();
	await dialog.getByLabel('CPU, percent').fill('60');
	assert.equal(await command(page), 'hks app scale shop --min 2 --max 4 --cpu 60 --component backend');
	await portrait(page, 'autoscale', { full: false });
	await submit.click();
	await dialog.waitFor({ state: 'detached' });
	const table = page.getByRole('table', { name: 'Components' });
	await table.getByRole('row', { name: /backend.* 2\/2 ?2 to 4, CPU 12 of 60 %/ }).waitFor();
	await table.getByRole('row', { name: /frontend.* 1\/1/ }).waitFor();
	await portrait(page, 'autoscaled');
	await page.goto(to.url);
	await page.getByRole('row', { name: /shop.*staging.*3\/3 ?auto/ }).waitFor();

	// A new version leaves it as it is, unless a number is given.
	await page.goto(`${to.url}/apps/shop/staging`);
	await page.getByRole('button', { name: 'Deploy new version', exact: true }).click();
	const deploy = page.getByRole('dialog', { name: 'Deploy a new version of shop' });
	assert.equal(await deploy.getByLabel('Replicas').inputValue(), '');
	await deploy.getByText('Left empty, it goes on following the load.').waitFor();
	assert.doesNotMatch(await command(page), /--replicas/);
	await deploy.getByRole('button', { name: 'Cancel' }).click();

	await scale.click();
	assert.equal(await dialog.getByLabel('Number of instances').inputValue(), 'follows the load');
	assert.equal(await dialog.getByLabel('At most').inputValue(), '4');
	await dialog.getByLabel('Number of instances').selectOption('a fixed number');
	await dialog.getByLabel('Replicas').fill('1');
	assert.equal(await command(page), 'hks app scale shop 1 --component backend');
	await submit.click();
	await table.getByRole('row', { name: /backend.* 1\/1/ }).waitFor();
	await counted(page.locator('.autoscale'), 0);
	quiet();
	await page.close();
});

test('A19 why the load can not be followed is told beside the number', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/apps/mailer/staging`);
	await page.getByRole('button', { name: 'Scale', exact: true }).click();
	const dialog = page.getByRole('dialog', { name: 'Scale mailer' });
	await dialog.getByLabel('Number of instances').selectOption('follows the load');
	await dialog.getByRole('button', { name: 'Scale', exact: true }).click();
	await page.getByText('1 to 4, CPU not measured yet').waitFor();
	await page.getByText("The CPU of its instances can't be read: no metrics were returned").waitFor();
	quiet();
	await page.close();
});

test('A19 more than the workspace has room for is refused in the dialog', { skip }, async () => {
	const { page } = await open(browser.context);
	await page.goto(`${to.url}/apps/shop/staging`);
	await page.getByRole('button', { name: 'Scale frontend', exact: true }).click();
	const dialog = page.getByRole('dialog', { name: 'Scale shop' });
	await dialog.getByLabel('Number of instances').selectOption('follows the load');
	await dialog.getByLabel('At most').fill('100');
	await dialog.getByRole('button', { name: 'Scale', exact: true }).click();
	await dialog.getByText(/the workspace may have \d+ pods/i).waitFor();
	await page.close();
});
