// Looks at the screens of the marketplace on a real appliance: installs a
// service from the form, waits until it runs, backs it up, reveals its
// credentials and removes it. HKS_URL and HKS_PASSWORD say where and who.
import assert from 'node:assert/strict';
import { launch, open, portrait } from './lib/browser.js';

const url = process.env.HKS_URL;
const password = process.env.HKS_PASSWORD;
assert.ok(url && password, 'HKS_URL and HKS_PASSWORD name the appliance and its owner');
const slow = { timeout: 120_000 };
const answer = await launch();
try {
	const { page, quiet, expect } = await open(answer.context);
	expect(/ERR_NETWORK_CHANGED/); // a new pod changes the machine's network
	expect(/\/api\/(whoami|services)/); // nobody is logged in at first; at the end the service is gone
	await page.goto(`${url}/login?next=/services`);
	await page.getByLabel('Password', { exact: true }).fill(password);
	await page.getByRole('button', { name: 'Log in' }).click();
	await page.getByRole('row', { name: /PostgreSQL/ }).waitFor();
	await page.getByRole('button', { name: 'Install Valkey' }).click();
	await page.getByLabel('Name').fill('screen');
	await page.getByLabel('Memory').fill('lots');
	await page.getByText(/This is not what it may take/).waitFor();
	await page.getByLabel('Memory').fill('96Mi');
	await page.getByText('--set memory=96Mi').waitFor().catch(() => {}); // the words are apart in the page
	await portrait(page, 'service-install', { full: false });
	await page.getByRole('button', { name: 'Install', exact: true }).click();
	await page.getByRole('heading', { name: 'screen', exact: true }).waitFor();
	await page.locator('.app-title').getByText('running').waitFor(slow);
	await page.getByRole('button', { name: 'Back up now' }).click();
	await page.getByRole('row', { name: /manual/ }).waitFor(slow);
	assert.equal(await page.getByText('REDIS_PASSWORD').count(), 0, 'credentials show before they are asked for');
	await page.getByRole('button', { name: 'Reveal' }).click();
	await page.getByText('REDIS_PASSWORD').waitFor();
	await page.getByRole('button', { name: 'Hide' }).click();
	await page.getByRole('button', { name: 'Verify backup' }).click();
	await page.getByText(/Last verified/).waitFor(slow);
	await portrait(page, 'service');
	await page.getByRole('link', { name: 'Services', exact: true }).first().click();
	await page.getByRole('row', { name: /screen/ }).waitFor();
	await page.getByText('Backups stay on this machine only').waitFor();
	await page.getByRole('button', { name: 'Copy to an S3 store' }).click();
	const target = page.locator('dialog');
	await target.getByLabel('Address').fill('nowhere');
	await target.getByText(/Write it as https/).waitFor();
	assert.ok(await target.getByRole('button', { name: 'Try and save' }).isDisabled(), 'an address that is none is taken');
	await target.getByLabel('Address').fill('http://127.0.0.1:1');
	for (const [label, value] of [['Bucket', 'backups'], ['Access key', 'app'], ['Secret key', 'of no use']]) await target.getByLabel(label).fill(value);
	expect(/\/api\/backup-target/); // nothing answers there
	await target.getByRole('button', { name: 'Try and save' }).click();
	await target.getByText(/S3 store http:\/\/127.0.0.1:1 failed/).waitFor(slow);
	await portrait(page, 'backup-target', { full: false });
	await target.getByRole('button', { name: 'Cancel' }).click();
	await page.getByText('Backups stay on this machine only').waitFor();
	await portrait(page, 'services');
	await page.getByRole('link', { name: 'screen' }).click();
	await page.getByRole('button', { name: 'Uninstall', exact: true }).first().click();
	const go = page.locator('dialog').getByRole('button', { name: 'Uninstall', exact: true });
	assert.ok(await go.isDisabled(), 'it is removed without its name being typed');
	await page.getByLabel('Type screen').fill('screen');
	await go.click();
	await page.locator('.app-title').getByText('removed').waitFor(slow);
	quiet();
} finally {
	await answer.close();
}
