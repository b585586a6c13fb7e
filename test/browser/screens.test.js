// What needs a made-up appliance: failures of all kinds, an appliance that
// goes away, and two hundred apps.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { artefacts, counted, launch, listed, open, portrait } from './lib/browser.js';
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
	to = await double(['-seed', '-builds', '-password', password, '-root', root]);
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

test('the dashboard names what needs attention first, each with its mend', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(to.url);
	await page.getByRole('heading', { name: '3 things need your attention' }).waitFor();
	const attention = page.getByRole('region', { name: 'Needs attention' });
	await attention.getByText('worker in staging does not run').waitFor();
	await attention.getByText('Build 2 of notes in staging failed').waitFor();
	await page.getByRole('table', { name: 'Builds under way' }).getByRole('row', { name: /#3.*guide/ }).waitFor();
	assert.match(await attention.locator('.fix code').last().innerText(), /^hks /);
	const first = await page.locator('.apps tbody tr').first().innerText();
	assert.match(first, /error/, 'and the list begins with it');
	await page.locator('.spark polyline').first().waitFor();
	await portrait(page, 'attention');
	quiet();
	await page.close();
});

test('A22 a domain is added, its checks and its certificate show, and it is removed', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/apps/shop/staging`);
	const card = page.getByRole('region', { name: 'Domains' });
	const add = async (/** @type {string} */ host) => {
		await card.getByRole('button', { name: 'Add a domain' }).click();
		const dialog = page.getByRole('dialog', { name: 'Add a domain' });
		await dialog.getByLabel('Host').fill(host);
		assert.match(await dialog.getByRole('group', { name: 'Same on the command line' }).innerText(), new RegExp(`hks domains add shop ${host}`));
		await dialog.getByRole('button', { name: 'Add', exact: true }).click();
		await dialog.waitFor({ state: 'detached' });
		return card.getByRole('listitem', { name: host, exact: true });
	};
	const right = await add('www.shop.example');
	await right.getByText('valid', { exact: true }).waitFor();
	await right.getByText('Made-up Authority').waitFor();
	const astray = await add('astray.shop.example');
	await astray.getByText('it should point to 192.0.2.2').first().waitFor();
	await astray.getByText('at your DNS provider').waitFor();
	const refused = await add('refused.shop.example');
	await refused.getByText('policy forbids issuing for this name').waitFor();
	await refused.getByRole('button', { name: 'Ask again' }).waitFor();
	await card.scrollIntoViewIfNeeded();
	await portrait(page, 'domains');
	await page.goto(to.url);
	const attention = page.getByRole('region', { name: 'Needs attention' });
	await attention.getByText('refused.shop.example, a domain of shop in staging, has no certificate').waitFor();
	await page.goto(`${to.url}/apps/shop/staging`);
	for (const host of ['astray.shop.example', 'refused.shop.example', 'www.shop.example']) {
		await card.getByRole('button', { name: `Remove ${host}` }).click();
		const remove = page.getByRole('dialog', { name: `Remove ${host}?` });
		await remove.getByText('It stops leading to shop').waitFor();
		await remove.getByLabel(`Type ${host} to confirm`).fill(host);
		await remove.getByRole('button', { name: 'Remove', exact: true }).click();
		await card.getByRole('listitem', { name: host, exact: true }).waitFor({ state: 'detached' });
	}
	quiet();
	await page.close();
});

test('the maintenance page is switched on with a message, shows in the list, and off', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/apps/shop/production`);
	const toggle = page.getByRole('switch', { name: /Maintenance page/ });
	assert.equal(await toggle.getAttribute('aria-checked'), 'false');
	await toggle.click();
	const dialog = page.getByRole('dialog', { name: 'Show a maintenance page for shop?' });
	await dialog.getByLabel('Message').fill('Back at nine.');
	await dialog.getByRole('button', { name: 'Show the page' }).click();
	await page.getByText('Visitors see the maintenance page.').waitFor();
	await page.getByText('“Back at nine.”').waitFor();
	await portrait(page, 'maintenance');
	await page.goto(to.url);
	await page.locator('.apps').getByText('maintenance', { exact: true }).waitFor();
	await page.goto(`${to.url}/apps/shop/production`);
	await toggle.click();
	await page.getByText('Visitors see the maintenance page.').waitFor({ state: 'detached' });
	quiet();
	await page.close();
});

test('the builds of all apps have a screen, with a filter', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(to.url);
	await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Builds' }).click();
	await page.getByRole('heading', { name: 'Builds', exact: true, level: 1 }).waitFor();
	const rows = page.locator('tbody tr');
	await rows.first().waitFor();
	const all = await rows.count();
	await page.getByLabel('Filter', { exact: true }).last().fill('notes');
	await page.waitForFunction((before) => document.querySelectorAll('tbody tr').length < before, all);
	assert.match(await rows.first().innerText(), /notes/);
	await page.getByLabel('Status').selectOption('cancelled');
	await page.getByText(/None of \d+ builds fits/).waitFor();
	await page.getByLabel('Filter', { exact: true }).last().fill('');
	await page.getByLabel('Status').selectOption('any status');
	await portrait(page, 'builds');
	await rows.first().getByRole('link').click();
	await page.waitForURL(/\/builds\/\d+$/);
	quiet();
	await page.close();
});

test('A50 a function is written in the editor, called, broken, and goes on serving', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/functions`);
	await page.getByText('There is no function yet.').waitFor();
	await page.getByRole('button', { name: 'New function' }).click();
	const editor = page.getByRole('region', { name: 'New function' });
	await editor.getByLabel('Name').fill('daily-summary-email');
	await editor.getByLabel('index.js').fill('exports.hello = (request, response) => response.send("hi");');
	await editor.locator('.code-string').getByText('"hi"').waitFor();
	await portrait(page, 'function-editor');
	await editor.getByRole('button', { name: 'Deploy' }).click();
	const card = page.getByRole('region', { name: 'Function daily-summary-email' });
	await card.getByText('version 1').waitFor();
	await card.getByRole('button', { name: 'Call it, its variables, figures and versions' }).click();
	const variables = card.getByRole('form', { name: 'Variables of daily-summary-email' });
	await variables.getByLabel('Variable').fill('SMTP_URL');
	await variables.getByLabel('Value').fill('smtp://here');
	await variables.getByRole('button', { name: 'Set', exact: true }).click();
	await variables.getByRole('button', { name: 'Unset SMTP_URL' }).waitFor();
	await card.getByLabel('Request').fill('{"to":"me"}');
	await card.getByRole('button', { name: 'Call', exact: true }).click();
	await card.getByText('version 1 got {"to":"me"}').waitFor();
	await portrait(page, 'function');
	await card.getByRole('button', { name: 'Edit' }).click();
	const again = page.getByRole('region', { name: 'Edit daily-summary-email' });
	await again.getByLabel('index.js').fill('syntax error');
	await again.getByRole('button', { name: 'Deploy' }).click();
	await again.getByText(/Version 2 failed, the one before serves/).waitFor();
	await portrait(page, 'function-failed');
	await again.getByRole('button', { name: 'Close' }).click();
	await card.getByText('version 1', { exact: true }).waitFor();
	await card.getByRole('button', { name: 'Edit' }).click();
	await again.getByLabel('index.js').fill('exports.hello = (request, response) => response.send("bye");');
	await again.getByRole('button', { name: 'Deploy' }).click();
	await card.getByText('version 3', { exact: true }).waitFor();
	await card.getByRole('button', { name: 'Changes of version 3' }).click();
	const changes = card.getByLabel('Changes of index.js in version 3');
	await changes.locator('.gone').getByText('syntax error').waitFor();
	await changes.locator('.come').getByText('response.send("bye")').waitFor();
	await portrait(page, 'function-changes');
	quiet();
	await page.close();
});

test('A30 GitHub is connected, a repository picked, and its first run shows its steps', { skip }, async () => {
	const { page, expect, quiet } = await open(browser.context);
	expect(/502/);
	await page.goto(`${to.url}/pipelines`);
	await page.getByText('not connected').waitFor();
	await page.getByRole('button', { name: 'Connect' }).click();
	const connect = page.getByRole('dialog', { name: 'Connect GitHub' });
	await connect.getByLabel('Token').fill('wrong');
	await connect.getByRole('button', { name: 'Connect' }).click();
	await connect.getByText('GitHub does not accept the token').waitFor();
	await connect.getByLabel('Token').fill('right');
	await connect.getByRole('button', { name: 'Connect' }).click();
	await page.getByText('connected as octo').waitFor();
	await page.getByRole('button', { name: 'New pipeline' }).click();
	const create = page.getByRole('dialog', { name: 'New pipeline' });
	await create.getByLabel('Repository', { exact: true }).selectOption('octo/hello');
	await portrait(page, 'pipeline-new');
	await create.getByRole('button', { name: 'Create' }).click();
	const card = page.getByRole('region', { name: 'Pipeline hello' });
	await card.getByText('Say hello').waitFor();
	await card.getByRole('link', { name: 'Log' }).waitFor();
	await card.getByText('succeeded', { exact: true }).waitFor();
	await portrait(page, 'pipelines');
	await card.getByRole('button', { name: 'Permissions' }).click();
	await card.getByText('Deployments: read and write').waitFor();
	await card.getByRole('button', { name: 'Variables' }).click();
	const variables = page.getByRole('dialog', { name: 'Variables of hello' });
	await variables.getByLabel('Name').fill('TOKEN');
	await variables.getByLabel('Value').fill('hunter22');
	await variables.getByRole('button', { name: 'Keep' }).click();
	await variables.waitFor({ state: 'detached' });
	await card.getByRole('button', { name: 'Settings' }).click();
	const settings = page.getByRole('dialog', { name: 'Settings of hello' });
	await settings.getByLabel(/pull requests/).check();
	await portrait(page, 'pipeline-settings');
	await settings.getByRole('button', { name: 'Keep' }).click();
	await card.getByText('waits for approval').waitFor();
	await card.getByRole('button', { name: 'Approve' }).click();
	await card.getByText('waits for approval').waitFor({ state: 'detached' });
	await card.getByRole('link', { name: '#1', exact: true }).click();
	await page.getByRole('heading', { name: 'Run 1', exact: true }).waitFor();
	await page.getByRole('log').getByText('the build has succeeded').waitFor();
	await page.getByRole('list', { name: 'History' }).getByText('#2').waitFor();
	await portrait(page, 'run');
	await page.goto(`${to.url}/pipelines`);
	await card.getByRole('button', { name: 'What came by the webhook' }).click();
	await card.getByText('Nothing came yet.').waitFor();
	await card.getByRole('button', { name: 'Delete' }).click();
	const ask = page.getByRole('dialog', { name: 'Delete the pipeline of hello?' });
	await ask.getByLabel('Type hello to confirm').fill('hello');
	await ask.getByRole('button', { name: 'Delete' }).click();
	await card.waitFor({ state: 'detached' });
	quiet();
	await page.close();
});

test('A51 a cron job is made with its next times in view, runs by hand, and shows what it printed', { skip }, async () => {
	const { page, expect, quiet } = await open(browser.context);
	await page.goto(`${to.url}/cron`);
	await page.getByText('There is no cron job yet.').waitFor();
	await page.getByRole('button', { name: 'New cron job' }).click();
	const form = page.getByRole('dialog', { name: 'New cron job' });
	await form.getByLabel('Name').fill('nightly');
	expect(/422/);
	await form.getByLabel('Schedule').fill('0 25 * * *');
	await form.getByText(/the hour "25" is not valid/).waitFor();
	await form.getByLabel('Schedule').fill('0 3 * * *');
	await form.getByText(/^Next: /).waitFor();
	await form.getByLabel('App', { exact: true }).fill('blog/staging');
	await form.getByRole('textbox', { name: 'Command' }).fill('clean all');
	assert.match(await form.getByRole('group', { name: 'Same on the command line' }).innerText(), /hks cron create nightly/);
	await portrait(page, 'cron-form');
	await form.getByRole('button', { name: 'Create' }).click();
	const card = page.getByRole('region', { name: 'Cron job nightly' });
	await card.getByRole('button', { name: 'Run now' }).click();
	await card.getByText('last run succeeded').waitFor();
	await page.getByRole('region', { name: 'Calendar' }).getByText('succeeded').first().waitFor();
	await card.getByRole('button', { name: 'Show the runs' }).click();
	await card.getByRole('button', { name: 'Output' }).click();
	await card.getByText('[clean all]').waitFor();
	await portrait(page, 'cron');
	await card.getByRole('button', { name: 'Pause' }).click();
	await card.getByText('paused', { exact: true }).waitFor();
	await card.getByRole('button', { name: 'Delete' }).click();
	const ask = page.getByRole('dialog', { name: 'Delete nightly?' });
	await ask.getByLabel('Type nightly to confirm').fill('nightly');
	await ask.getByRole('button', { name: 'Delete' }).click();
	await page.getByText('There is no cron job yet.').waitFor();
	quiet();
	await page.close();
});

test('A80 a machine is invited by one line, and its steps show until it is ready', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/nodes`);
	await page.getByRole('region', { name: 'Node hks' }).getByText('shared pool, this appliance').waitFor();
	await page.getByRole('button', { name: 'Add Dedicated Node' }).click();
	await page.getByLabel('Name').fill('prod-1');
	await page.getByRole('button', { name: 'Make an invitation' }).click();
	const dialog = page.getByRole('dialog', { name: 'prod-1 joins' });
	assert.match(await dialog.getByRole('group', { name: 'The line for the other machine' }).innerText(), /--pinnedpubkey/);
	await dialog.getByText('fetches k3s').waitFor();
	await portrait(page, 'node-joins');
	await dialog.getByText('prod-1 is ready.').waitFor();
	await dialog.getByRole('button', { name: 'Close', exact: true }).last().click();
	const card = page.getByRole('region', { name: 'Node prod-1' });
	await card.getByText('192.0.2.11').waitFor();
	await portrait(page, 'nodes');
	await card.getByRole('button', { name: 'Remove' }).click();
	const ask = page.getByRole('dialog', { name: 'Remove prod-1?' });
	await ask.getByLabel('Type prod-1 to confirm').fill('prod-1');
	await ask.getByRole('button', { name: 'Remove' }).click();
	await card.waitFor({ state: 'detached' });
	quiet();
	await page.close();
});

test('A88 the plan shows what is used of it, and is changed', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/settings`);
	const card = page.getByRole('region', { name: 'Plan hobby' });
	await card.getByRole('button', { name: 'Change to pro' }).click();
	const dialog = page.getByRole('dialog', { name: 'Change the plan from hobby to pro?' });
	await dialog.getByText('dedicated nodes without limit').waitFor();
	await dialog.getByRole('button', { name: 'Change' }).click();
	await page.getByRole('region', { name: 'Plan pro' }).waitFor();
	await portrait(page, 'plan');
	quiet();
	await page.close();
});

test('A20 a failed release shows its exit code and last lines', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(`${to.url}/apps/worker/staging`);
	await page.locator('.release-details').getByText(/exit code 1/).waitFor();
	await page.getByRole('region', { name: 'Last lines of release 1' }).waitFor();
	await portrait(page, 'app-failed');
	quiet();
	await page.close();
});

test('A14 an app that waits for room says what for, and goes on by itself', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(to.url);
	await page.getByRole('button', { name: 'Deploy an image' }).click();
	await page.getByLabel('Name', { exact: true }).fill('queue');
	await page.getByText('production', { exact: true }).last().click();
	await page.getByLabel('Image', { exact: true }).fill('full:1');
	await page.getByRole('button', { name: 'Deploy', exact: true }).click();
	await page.getByRole('heading', { name: 'Release #1 is on its way' }).waitFor();
	await page.locator('.app-title .pill', { hasText: 'pending' }).waitFor();
	await page.getByRole('listitem').filter({ hasText: 'Find room' }).and(page.locator('[aria-current="step"]')).waitFor();
	await portrait(page, 'app-waiting');
	await page.locator('.app-title .pill', { hasText: 'running' }).waitFor({ timeout: 60_000 });
	quiet();
	await page.close();
});

const command = (/** @type {Page} */ page) => page.locator('dialog .cli code').innerText();

/** @param {Page} page @param {string} path */
async function visit(page, path) {
	await page.goto(`${to.url}${path}`);
	await page.locator('.app-title .pill', { hasText: 'running' }).waitFor({ timeout: 60_000 });
}

test('an app of several components shows each, and what a release changed', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/shop/staging');
	const table = page.getByRole('table', { name: 'Components' });
	await table.getByRole('row', { name: /backend.*hello:2/ }).waitFor();
	await table.getByRole('row', { name: /frontend.*page:1/ }).waitFor();
	assert.equal(await table.getByRole('link', { name: 'shop-staging.localhost/api' }).getAttribute('href'), 'http://shop-staging.localhost/api');
	await page.getByText('2 components').waitFor();
	await page.getByRole('table', { name: 'Instances' }).getByRole('cell', { name: 'frontend', exact: true }).waitFor();
	await page.locator('.release').first().getByRole('button', { name: /#2/ }).click();
	const changes = page.getByRole('list', { name: 'Changed since #1' });
	await changes.getByRole('listitem').filter({ hasText: 'env CACHE_URL' }).waitFor();
	const told = (await changes.innerText()).replace(/\s+/g, ' ');
	assert.match(told, /backend image hello:1 → becomes hello:2/);
	assert.match(told, /backend memory none → becomes 512Mi/);
	assert.doesNotMatch(await page.content(), /made-up-secret|redis:/, 'a value of the environment shows');
	await page.locator('.log').first().waitFor();
	await portrait(page, 'components');
	quiet();
	await page.close();
});

test('logs are of all components, or of one', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/shop/staging');
	await page.locator('.log-from', { hasText: 'frontend' }).first().waitFor();
	await page.getByLabel('Component of the log lines').selectOption('backend');
	await page.waitForFunction(() => document.querySelector('.log') && !document.querySelector('.log-from'));
	assert.equal(await page.locator('.logs .cli code').innerText(), 'hks logs -f shop --component backend');
	quiet();
	await page.close();
});

test('A19 a component is scaled, the others stay', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/shop/staging');
	await page.getByRole('button', { name: 'Scale backend', exact: true }).click();
	await page.getByRole('dialog').getByRole('button', { name: 'One more' }).click();
	assert.equal(await command(page), 'hks app scale shop 2 --component backend');
	assert.equal(await page.getByLabel('Component', { exact: true }).inputValue(), 'backend');
	await portrait(page, 'scale-component', { full: false });
	await page.getByRole('dialog').getByRole('button', { name: 'Scale', exact: true }).click();
	const table = page.getByRole('table', { name: 'Components' });
	await table.getByRole('row', { name: /backend.* 2\/2/ }).waitFor();
	await table.getByRole('row', { name: /frontend.* 1\/1/ }).waitFor();
	quiet();
	await page.close();
});

test('one component of several gets a new image', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/shop/staging');
	await page.getByRole('button', { name: 'Deploy new version', exact: true }).click();
	const dialog = page.getByRole('dialog');
	await dialog.getByLabel('Component', { exact: true }).selectOption('frontend');
	assert.equal(await dialog.getByLabel('Image', { exact: true }).inputValue(), 'page:1', 'the form follows the component');
	assert.equal(await dialog.getByLabel('Port', { exact: true }).inputValue(), '8080');
	await dialog.getByLabel('Image', { exact: true }).fill('page:2');
	assert.equal(await dialog.getByLabel('Value of API_KEY').getAttribute('type'), 'password');
	assert.equal(await command(page), 'hks deploy --name shop --component frontend --image page:2 --port 8080 --path /');
	await portrait(page, 'deploy-component', { full: false });
	await dialog.getByRole('button', { name: 'Deploy new version' }).click();
	const table = page.getByRole('table', { name: 'Components' });
	await table.getByRole('row', { name: /frontend.*page:2/ }).waitFor();
	await table.getByRole('row', { name: /backend.*hello:2/ }).waitFor();
	quiet();
	await page.close();
});

test('A21 a variable is set and unset, each as a release, and no value shows', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/blog/staging');
	const card = page.getByRole('region', { name: 'Environment and secrets' });
	const names = card.locator('.var-name');
	await listed(names, ['API_KEY', 'GREETING']);
	await card.getByRole('button', { name: 'Set a variable' }).click();
	await page.getByLabel('Name', { exact: true }).fill('COLOUR');
	const value = page.getByLabel('Value', { exact: true });
	assert.equal(await value.getAttribute('type'), 'text');
	await value.fill('deep blue');
	assert.equal(await command(page), "hks env set blog 'COLOUR=deep blue'");
	await page.getByLabel('Name', { exact: true }).fill('DB_PASSWORD');
	assert.equal(await value.getAttribute('type'), 'password');
	await value.fill('canary-4711');
	assert.equal(await command(page), 'hks env set blog DB_PASSWORD=...', 'a secret is on no command line');
	await portrait(page, 'set-env', { full: false });
	await page.getByRole('dialog').getByRole('button', { name: 'Set', exact: true }).click();
	await page.locator('.release', { hasText: '#2' }).locator('.pill', { hasText: 'serving' }).waitFor({ timeout: 60_000 });
	await listed(names, ['API_KEY', 'DB_PASSWORD', 'GREETING']);
	const kept = await browser.context.request.get(`${to.url}/api/apps/blog/staging/releases/2`).then((answer) => answer.json());
	assert.equal(kept.kind, 'config');
	assert.ok(!JSON.stringify(kept).includes('canary-4711'));
	await portrait(page, 'app-simple');
	await card.getByRole('button', { name: 'Unset DB_PASSWORD' }).click();
	assert.equal(await command(page), 'hks env unset blog DB_PASSWORD');
	await page.getByRole('dialog').getByRole('button', { name: 'Unset', exact: true }).click();
	await page.locator('.release', { hasText: '#3' }).locator('.pill', { hasText: 'serving' }).waitFor({ timeout: 60_000 });
	await listed(names, ['API_KEY', 'GREETING']);
	await counted(page.getByRole('table', { name: 'Components' }), 0, 'one component is the app itself');
	quiet();
	await page.close();
});

test('A23 staging is promoted to production, after a look at what changes', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/shop/staging');
	await page.getByRole('button', { name: 'Promote to production', exact: true }).click();
	await page.getByRole('heading', { name: 'Promote shop to production?' }).waitFor();
	assert.equal(await command(page), 'hks promote shop --from staging --to production');
	const changes = page.getByRole('list', { name: 'What changes in production' });
	await changes.getByRole('listitem').filter({ hasText: 'hello:2' }).waitFor();
	assert.doesNotMatch(await changes.innerText(), /CACHE_URL|GREETING/, 'the environment of production stays');
	await portrait(page, 'promote', { full: false });
	await page.getByRole('button', { name: 'Promote', exact: true }).click();
	await page.locator('.app-title .tag.production').waitFor();
	await page.locator('.release', { hasText: /promoted from staging #/ }).locator('.pill', { hasText: 'serving' }).waitFor({ timeout: 60_000 });
	await counted(page.getByRole('button', { name: 'Promote to production' }), 0);
	quiet();
	await page.close();
});

test('a worker has no address, and can be looked at like the others', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/mailer/staging');
	await counted(page.locator('.app-url'), 0);
	await page.getByRole('button', { name: 'Stop', exact: true }).click();
	await page.getByRole('heading', { name: 'Stop mailer?' }).waitFor();
	await page.keyboard.press('Escape');
	quiet();
	await page.close();
});

test('the builds of an app, and what came of each', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await visit(page, '/apps/notes/staging');
	const table = page.getByRole('table', { name: 'Builds' });
	await table.getByRole('row', { name: /#1 succeeded .*Dockerfile.* #1 .*owner/ }).waitFor();
	await table.getByRole('row', { name: /#2 failed/ }).waitFor();
	await page.locator('.log').first().waitFor();
	await portrait(page, 'builds');
	await table.getByRole('link', { name: '#1' }).click();
	await page.getByRole('heading', { name: 'Build 1', exact: true }).waitFor();
	await page.getByRole('table', { name: 'Components' }).getByRole('row', { name: /api .*api\/Dockerfile/ }).waitFor();
	const step = page.getByRole('button', { name: /api \[6\/6\] RUN echo compiled/ });
	assert.equal(await step.getAttribute('aria-expanded'), 'false', 'what went well is closed');
	await step.focus();
	await page.keyboard.press('Enter');
	await page.getByText('compiled 48 modules', { exact: true }).waitFor();
	await page.getByText('the build has succeeded').waitFor();
	assert.equal(await page.locator('.logs .cli code').innerText(), 'hks build logs 1');
	await portrait(page, 'build-succeeded');
	await page.getByRole('link', { name: 'release #1' }).click();
	await page.locator('.app-title .pill', { hasText: 'running' }).waitFor();
	quiet();
	await page.close();
});

test('A34 a failed build opens at the step that failed, with its mend', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	await page.goto(to.url);
	await page.getByRole('link', { name: 'Build 2 of notes in staging failed', exact: true }).click();
	await page.getByRole('alert').getByText("Read the step's output").waitFor();
	const log = page.getByRole('log');
	await log.getByText('Error: expected 3 notes, got 2', { exact: true }).waitFor();
	await counted(log.getByRole('button', { expanded: true }), 1);
	await portrait(page, 'build-failed');
	await page.getByLabel('Filter log lines').fill('12 passed');
	await log.locator('mark').first().waitFor();
	await counted(log.getByRole('button'), 1, 'the other steps have no such line');
	await page.getByLabel('Filter log lines').fill('no such line');
	await log.getByText('No line has').waitFor();
	quiet();
	await page.close();
});

test('A34 a build is followed while it runs, and cancelled', { skip }, async () => {
	const { page, quiet, expect } = await open(browser.context);
	expect(/404/); // it has no app yet
	await page.goto(`${to.url}/builds/3`);
	await page.locator('.app-title .pill', { hasText: 'running' }).waitFor();
	const log = page.getByRole('log');
	await log.getByText('Installed 31 packages', { exact: true }).waitFor();
	assert.equal(await page.locator('.logs .cli code').innerText(), 'hks build logs 3 -f');
	await portrait(page, 'build-running');
	await page.getByRole('button', { name: 'Pause' }).click();
	await page.getByRole('button', { name: 'Cancel', exact: true }).click();
	await page.getByRole('heading', { name: 'Cancel build 3?' }).waitFor();
	assert.equal(await command(page), 'hks build cancel 3');
	await portrait(page, 'build-cancel', { full: false });
	await page.getByRole('button', { name: 'Cancel the build' }).click();
	await page.locator('.app-title .pill', { hasText: 'cancelled' }).waitFor();
	await counted(log.getByText('cancelled by'), 0, 'what is paused stays as it is');
	await page.getByRole('button', { name: 'Resume' }).click();
	await log.getByText('cancelled by').waitFor();
	await log.getByText('stopped', { exact: true }).waitFor();
	await counted(page.getByRole('button', { name: 'Cancel', exact: true }), 0);
	await page.getByRole('link', { name: 'guide' }).click();
	await page.getByRole('table', { name: 'Builds' }).getByRole('row', { name: /#3 cancelled/ }).waitFor();
	quiet();
	await page.close();
});

test('a build that is not there, and an app that was never built', { skip }, async () => {
	const { page, quiet, expect } = await open(browser.context);
	expect(/404/);
	await page.goto(`${to.url}/builds/4711`);
	await page.getByRole('alert').getByText('hks build list').waitFor();
	await visit(page, '/apps/mailer/staging');
	const card = page.getByRole('region', { name: 'Builds' });
	assert.equal(await card.locator('.cli code').innerText(), 'hks deploy');
	await page.keyboard.press('Control+k');
	await page.keyboard.type('build 2');
	await page.getByRole('option', { name: /Build 2 of notes/ }).waitFor();
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Build 2', exact: true }).waitFor();
	quiet();
	await page.close();
});

test('an app that is not there, and a screen that is not there', { skip }, async () => {
	const { page, quiet, expect } = await open(browser.context);
	expect(/404/);
	await page.goto(`${to.url}/apps/nobody/staging`);
	await page.getByRole('alert').waitFor();
	await page.goto(`${to.url}/nowhere`);
	await page.getByRole('heading', { name: 'There is no such screen' }).waitFor();
	quiet();
	await page.close();
});

test('errors of the API come with the mend and another try', { skip }, async () => {
	const { page, quiet, expect } = await open(browser.context);
	expect(/503/);
	let away = true;
	await page.route('**/api/workspace', (route) => (away
		? route.fulfill({ status: 503, json: { error: { code: 'CLUSTER_UNAVAILABLE', message: 'the cluster does not answer', fix: 'wait a moment; if it stays so: hks system' } } })
		: route.continue()));
	await page.goto(to.url);
	const problem = page.getByRole('alert');
	await problem.getByText('The cluster does not answer').waitFor();
	await problem.getByText('hks system').waitFor();
	await page.getByRole('row', { name: /blog/ }).waitFor(); // the rest is there
	away = false;
	await problem.getByRole('button', { name: 'Try again' }).click();
	await page.getByRole('progressbar', { name: 'CPU quota' }).waitFor();
	await problem.waitFor({ state: 'detached' });
	quiet();
	await page.close();
});

test('a workspace that could not be made says why and can be tried again', { skip }, async () => {
	const { page, quiet } = await open(browser.context);
	const real = await browser.context.request.get(`${to.url}/api/workspace`).then((answer) => answer.json());
	let tried = false;
	await page.route('**/api/workspace', (route) => {
		if (route.request().method() === 'POST') tried = true;
		return route.fulfill({ json: tried ? real : { ...real, status: 'failed', step: 'quota', reason: 'the cluster did not answer for 60 s', fix: 'try again once the engine is healthy' } });
	});
	await page.goto(`${to.url}/setup`);
	await page.getByText('The cluster did not answer for 60 s').waitFor();
	await portrait(page, 'setup-failed');
	await page.getByRole('button', { name: 'Try again' }).click();
	await page.getByRole('link', { name: 'Continue' }).waitFor();
	assert.ok(tried);
	quiet();
	await page.close();
});

/**
 * What the page's main thread has taken of the processor, in milliseconds: a
 * figure that a busy machine does not change.
 * @param {Page} page
 */
async function mainThread(page) {
	const session = await browser.context.newCDPSession(page);
	await session.send('Performance.enable', { timeDomain: 'threadTicks' });
	return async () => {
		const { metrics } = await session.send('Performance.getMetrics');
		return (metrics.find((metric) => metric.name === 'TaskDuration')?.value || 0) * 1000;
	};
}

/** The median of some visits, in milliseconds; the browser has the files, as on any day but the first. */
async function firstPaint() {
	const { page } = await open(browser.context); // with no answer made up: that takes its time too
	const paints = [];
	for (let i = 0; i < 5; i++) {
		await page.goto(to.url);
		await page.getByRole('row', { name: /blog/ }).waitFor();
		paints.push(await page.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime)));
	}
	await page.close();
	return paints.sort((a, b) => a - b)[2];
}

test('two hundred apps: shown in parts, and the first paint and each key are measured', { skip }, async (t) => {
	const paint = await firstPaint();
	const { page, quiet } = await open(browser.context);
	const [one] = await browser.context.request.get(`${to.url}/api/apps`).then((answer) => answer.json());
	const statuses = ['running', 'running', 'running', 'running', 'updating', 'stopped', 'pending', 'error'];
	const many = Array.from({ length: 200 }, (_, i) => ({
		...one, name: `app-${String(i).padStart(3, '0')}`, status: statuses[i % statuses.length], ready: 1, release: 1 + (i % 9), url: `http://app-${i}-staging.localhost`,
		reason: i % statuses.length > 5 ? 'made up for the test' : '',
	}));
	await page.route('**/api/apps', (route) => route.fulfill({ json: many }));
	await page.route('**/metrics?*', (route) => route.fulfill({ json: [] }));
	await page.goto(to.url);
	await page.getByText('140 more…').waitFor();
	const busy = await mainThread(page);
	const before = await busy();
	await page.reload();
	await page.getByText('140 more…').waitFor();
	const loading = await page.evaluate(() => {
		const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
		return {
			bytes: performance.getEntriesByType('resource').filter((entry) => !entry.name.includes('/api/'))
				.reduce((sum, entry) => sum + /** @type {PerformanceResourceTiming} */ (entry).encodedBodySize, navigation.encodedBodySize),
		};
	});

	const loadingCPU = await busy() - before;

	/** From the key to the frame that shows its effect. @param {() => Promise<unknown>} act */
	const took = async (act) => {
		await page.evaluate(() => {
			/** @type {any} */ (window).taken = new Promise((resolve) => {
				addEventListener('keydown', (event) => {
					const begin = event.timeStamp;
					requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
				}, { once: true, capture: true });
			});
		});
		await act();
		return Math.round(await page.evaluate(() => /** @type {any} */ (window).taken));
	};
	await page.locator('#app-filter').focus();
	const keys = [];
	const beforeKeys = await busy();
	for (const key of ['a', 'p', 'p', '-', '0', '4', 'Backspace', 'Backspace']) keys.push(await took(() => page.keyboard.press(key)));
	const keyCPU = (await busy() - beforeKeys) / keys.length;
	await page.locator('#app-filter').fill('app-199');
	await page.getByRole('row', { name: /app-199/ }).waitFor();
	await page.locator('#app-filter').fill('');
	await page.mouse.move(640, 600);
	await page.waitForFunction(() => {
		scrollTo(0, document.body.scrollHeight);
		return document.querySelectorAll('.apps tbody tr').length === 200;
	});
	const palette = await took(() => page.keyboard.press('Control+k'));
	await page.getByRole('combobox').waitFor();
	const typing = await took(() => page.keyboard.press('9'));
	await page.keyboard.press('Escape');
	const figures = {
		firstPaint: paint, ...loading, slowestKey: Math.max(...keys), medianKey: keys.sort((a, b) => a - b)[keys.length >> 1], palette, typing,
		loadingCPU: Math.round(loadingCPU), keyCPU: Math.round(keyCPU),
	};
	t.diagnostic(JSON.stringify(figures));
	writeFileSync(join(artefacts, 'timings.json'), `${JSON.stringify(figures, null, 2)}\n`);
	await portrait(page, 'many', { full: false });
	quiet();
	await page.close();
});

test('an appliance that goes away: what is known stays, and it comes back by itself', { skip }, async () => {
	const { page, expect } = await open(browser.context);
	expect(/ERR_|Failed to load/);
	await page.goto(to.url);
	await page.locator('.connection.live').waitFor();
	const port = new URL(to.url).port;
	await to.kill();
	await page.locator('.connection.reconnecting').waitFor();
	await page.getByRole('row', { name: /blog/ }).waitFor();
	await portrait(page, 'reconnecting');
	to = await double(['-root', root], `127.0.0.1:${port}`);
	await page.locator('.connection.live').waitFor({ timeout: 60_000 });
	await page.close();
});
