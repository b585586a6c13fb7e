// The owner's way through the screens, from the one-time link to the deleted
// app, on an appliance or on the double of its API.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { artefacts, launch, open, portrait } from './lib/browser.js';
import { password, target } from './lib/target.js';

/** @typedef {import('playwright-core').Page} Page */

const slow = 180_000; // for what a real cluster takes its time over

/** @type {import('./lib/target.js').Target} */
let to;
/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;
/** @type {Awaited<ReturnType<typeof open>>} */
let watched;
/** @type {Page} */
let page;
let broken = false; // each step stands on the one before

before(async () => {
	to = await target();
	browser = await launch();
	watched = await open(browser.context);
	page = watched.page;
	if (to.real) watched.expect(/ERR_NETWORK_CHANGED/); // each new instance changes the network of this very machine
});

after(async () => {
	await browser?.close();
	await to?.stop();
});

/** A step of the way. @param {string} name @param {() => Promise<void>} run */
function step(name, run) {
	test(name, { timeout: 2 * slow }, async (t) => {
		if (broken) return t.skip('a step before it failed');
		try {
			await run();
			watched.quiet();
		} catch (error) {
			broken = true;
			await page.screenshot({ path: join(artefacts, 'failed.png'), fullPage: true }).catch(() => {});
			throw error;
		}
	});
}

const button = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true });
const heading = (/** @type {string | RegExp} */ name) => page.getByRole('heading', { name, exact: typeof name === 'string' });

/** @param {string | RegExp} text */
async function statusBecomes(text) {
	await page.locator('.app-title .pill', { hasText: text }).waitFor({ timeout: slow });
}

/** @param {number} number */
async function serves(number) {
	await page.locator('.release', { hasText: `#${number}` }).locator('.pill', { hasText: 'serving' }).first().waitFor({ timeout: slow });
	await statusBecomes('running');
}

/**
 * Waits until nothing but the instances that stay is left. On a real cluster
 * an instance that goes changes the machine's network, and the browser, which
 * is on the same machine, drops what it is asking just then.
 * @param {number} instances
 */
async function settled(instances) {
	await page.waitForFunction((count) => document.querySelectorAll('[aria-label="Instances"] tbody tr').length === count, instances, { timeout: slow });
}

step('a forged link gives nothing away and says how to get a good one', async () => {
	await page.goto(`${to.url}/setup?token=forged`);
	await heading('This link has expired').waitFor();
	assert.match(await page.locator('.cli code').innerText(), /hks setup-link/);
	await portrait(page, 'setup-expired');
});

step('without an owner the log-in says how to begin', async () => {
	watched.expect(/401.*whoami/);
	await page.goto(`${to.url}/`);
	await heading('Nobody owns this appliance yet').waitFor();
});

step('A01 the link sets the password', async () => {
	await page.goto(to.setupLink);
	await heading('Make it yours').waitFor();
	await page.getByText('Is this my machine?').click();
	const shown = await page.locator('.fingerprint code').innerText();
	assert.match(shown, /^SHA256:[0-9a-f]{64}$/);
	if (to.fingerprint) assert.equal(shown, to.fingerprint);
	const first = page.getByLabel('Password', { exact: true });
	const second = page.getByLabel('Password again');
	await first.fill('short');
	await page.getByText('5 more to go.').waitFor();
	assert.ok(await button('Set the password').isDisabled());
	await first.fill(password);
	await second.fill(`${password}x`);
	await page.getByText('The two differ.').waitFor();
	await portrait(page, 'setup-password');
	await second.fill(password);
	await second.press('Enter');
	await heading('Your workspace').waitFor();
	assert.equal(new URL(page.url()).search, '', 'the secret stays in the address');
});

step('A02 the workspace comes to life by itself', async () => {
	await page.getByRole('link', { name: 'Continue' }).waitFor({ timeout: slow });
	await page.getByRole('progressbar', { name: 'CPU quota' }).waitFor();
	assert.equal(await page.getByLabel('Name').inputValue(), 'dev-workspace');
	await portrait(page, 'setup-workspace');
});

step('A03 the workspace is renamed, and back', async () => {
	if (process.env.HKS_KEEP_NAME) return;
	const name = page.getByLabel('Name');
	await name.fill('Not A Name');
	await page.getByText(/Use up to 40 lower-case letters/).waitFor();
	for (const wanted of ['atelier', 'dev-workspace']) {
		await name.fill(wanted);
		await button('Rename').click();
		await page.waitForFunction(async (wanted) => {
			const kept = await (await fetch('/api/workspace')).json();
			return kept.name === wanted && kept.status === 'ready';
		}, wanted, { timeout: slow, polling: 500 });
		await page.getByRole('link', { name: 'Continue' }).waitFor();
		await page.waitForFunction((wanted) => /** @type {HTMLInputElement | null} */ (document.querySelector('.rename input'))?.value === wanted, wanted);
		assert.ok(await button('Rename').isDisabled(), 'nothing is left to rename');
	}
});

step('A01 the link works once', async () => {
	const other = await open(browser.context);
	await other.page.goto(to.setupLink);
	await other.page.getByRole('heading', { name: 'This link was used' }).waitFor();
	await portrait(other.page, 'setup-used');
	other.quiet();
	await other.page.close();
});

step('the empty dashboard shows the quota and teaches the first deploy', async () => {
	await page.getByRole('link', { name: 'Continue' }).click();
	await heading('Deploy your first app').waitFor();
	for (const name of ['CPU', 'Memory', 'Storage', 'Pods']) await page.getByRole('progressbar', { name: `${name} quota` }).waitFor();
	await button('Copy command').first().click();
	await page.getByText('Command copied.').waitFor();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'hks deploy --name web --image IMG --port 8080');
	await button('Dismiss').click();
	await portrait(page, 'dashboard-empty');
});

step('A10 an image is deployed through the form', async () => {
	await button('Deploy an image').click();
	await button('Deploy').click();
	await page.getByText('Give a name.').waitFor();
	await page.getByLabel('Name', { exact: true }).fill('web');
	await page.getByLabel('Image', { exact: true }).fill(to.images[0]);
	await page.getByLabel('Port', { exact: true }).fill(to.port);
	await button('Add a variable').click();
	await page.getByLabel('Variable name').fill('GREETING');
	await page.getByLabel('Value of GREETING').fill('hello there');
	await page.getByText('Replicas, limits, address and health').click();
	await page.getByLabel('Memory limit optional').fill('128Mi');
	assert.equal(await page.locator('dialog .cli code').innerText(),
		`hks deploy --name web --image ${to.images[0]} --port ${to.port} --env 'GREETING=hello there' --memory 128Mi`);
	await portrait(page, 'deploy', { full: false });
	await button('Deploy').click();
	await heading('web').waitFor();
	await page.locator('.way').waitFor();
	await portrait(page, 'app-deploying');
	await serves(1);
});

step('A10 the address answers', async () => {
	const link = page.locator('.app-url a');
	const url = await link.getAttribute('href');
	assert.ok(url);
	assert.equal(await link.getAttribute('target'), '_blank');
	if (!to.real) return; // nothing is behind the double's addresses
	const app = await browser.context.newPage();
	const answer = await app.goto(url);
	assert.equal(answer?.status(), 200);
	await app.getByText('hello there').waitFor();
	await app.close();
});

step('A20 the logs are live, can be held and searched', async () => {
	const lines = page.locator('.log');
	await lines.first().waitFor({ timeout: slow });
	await page.locator('.logs .connection', { hasText: 'Following' }).waitFor();
	await button('Pause').click();
	await page.locator('.logs .connection', { hasText: 'Paused' }).waitFor();
	await button('Resume').click();
	await page.getByLabel('Filter log lines').fill('no line has this');
	await page.getByText('No line has “no line has this”.').waitFor();
	await page.getByLabel('Filter log lines').fill('');
	await lines.first().waitFor();
});

step('A16 the charts draw', async () => {
	const chart = page.getByRole('img', { name: /^Memory: now / });
	await chart.waitFor({ timeout: slow });
	await page.waitForFunction(() => {
		const canvas = /** @type {HTMLCanvasElement | null} */ (document.querySelector('[aria-label^="Memory: now"] canvas'));
		const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
		return pixels && pixels.some((value, i) => i % 4 === 3 && value > 200);
	});
});

step('A17 a second version takes over', async () => {
	await button('Deploy new version').click();
	await heading('Deploy a new version of web').waitFor();
	assert.equal(await page.getByLabel('Memory limit optional').inputValue(), '128Mi', 'the settings are there already');
	assert.equal(await page.getByLabel('Value of GREETING').inputValue(), '••••••', 'the value is kept back');
	await page.getByLabel('Image', { exact: true }).fill(to.images[1]);
	assert.ok(!(await page.locator('dialog .cli code').innerText()).includes('GREETING'), 'the dots are no value');
	await button('Deploy new version').last().click();
	await serves(2);
	await settled(1);
	const release = await page.evaluate(() => fetch('/api/apps/web/staging/releases/2').then((answer) => answer.json()));
	assert.deepEqual(Object.keys(release.spec.env), ['GREETING'], 'the kept value went along');
});

step('A17 a version that crashes is told with exit code and last lines, and the one before serves', async () => {
	await button('Deploy new version').click();
	await page.getByLabel('Image', { exact: true }).fill(to.real ? to.images[1] : 'crash:1');
	await button('Add a variable').click();
	await page.getByLabel('Variable name').last().fill('FAIL');
	await page.getByLabel('Value of FAIL').fill('exit');
	await button('Deploy new version').last().click();
	const failed = page.locator('.release', { hasText: '#3' }).first();
	await failed.locator('.pill', { hasText: 'failed' }).waitFor({ timeout: slow });
	if (!(await failed.locator('.release-details').isVisible())) await failed.getByRole('button', { name: /#3/ }).click();
	await failed.getByText(to.real ? /exit code 7/ : /exit code 1/).first().waitFor();
	await failed.getByRole('region', { name: 'Last lines of release 3' }).waitFor();
	await page.locator('.release', { hasText: '#2' }).locator('.pill', { hasText: 'serving' }).first().waitFor();
	await settled(1);
});

step('A18 a rollback brings the first version back', async () => {
	const first = page.locator('.release').last();
	assert.match(await first.innerText(), /#1/);
	await first.getByRole('button', { name: 'Copy command: hks rollback web 1' }).click();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'hks rollback web 1');
	await first.getByRole('button', { name: 'Roll back', exact: true }).click();
	await heading('Roll back to release 1?').waitFor();
	await portrait(page, 'rollback', { full: false });
	await button('Roll back to #1').click();
	await serves(4);
	await settled(1);
	await page.getByText('rollback to #1').waitFor();
	await page.locator('.log').first().waitFor({ timeout: slow });
	await portrait(page, 'app');
});

step('A19 the app is scaled', async () => {
	await button('Scale').click();
	await button('One more').click();
	assert.equal(await page.locator('dialog .cli code').innerText(), 'hks app scale web 2');
	await portrait(page, 'scale', { full: false });
	await page.getByRole('dialog').getByRole('button', { name: 'Scale', exact: true }).click();
	await page.locator('.app-facts', { hasText: '2 of 2 ready' }).waitFor({ timeout: slow });
	await settled(2);
});

step('A19 the app is restarted, stopped and started', async () => {
	await button('Restart').click();
	await page.getByText(/Restarting web/).waitFor();
	await statusBecomes('running');
	await settled(2);
	await button('Stop').click();
	await heading('Stop web?').waitFor();
	await page.getByRole('dialog').getByRole('button', { name: 'Stop', exact: true }).click();
	await statusBecomes('stopped');
	await button('Start').click();
	await statusBecomes('running');
	await page.locator('.app-facts', { hasText: '2 of 2 ready' }).waitFor({ timeout: slow });
});

step('the dashboard shows the app', async () => {
	await page.getByRole('link', { name: 'hks, to the dashboard' }).click();
	const row = page.getByRole('row', { name: /web/ });
	await row.waitFor();
	assert.match(await row.innerText(), /staging[\s\S]*running[\s\S]*2\/2/);
	await heading(/All is well|needs|need|waits/).waitFor();
	await portrait(page, 'dashboard');
});

step('the keyboard is enough', async () => {
	await page.goto(to.url);
	await page.getByRole('row', { name: /web/ }).waitFor();
	await page.keyboard.press('Tab');
	assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content');
	await page.keyboard.press('Control+k');
	await page.getByRole('combobox').waitFor();
	await portrait(page, 'palette', { full: false });
	await page.keyboard.press('Escape');
	await page.getByRole('dialog').waitFor({ state: 'detached' });
	assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content', 'the focus comes back');
	await page.keyboard.press('Control+k');
	await page.keyboard.type('web');
	await page.keyboard.press('Enter');
	await heading('web').waitFor();
	await page.keyboard.press('Control+k');
	await page.keyboard.type('scale');
	await page.keyboard.press('Enter');
	await heading('Scale web').waitFor();
	await page.keyboard.press('Control+a');
	await page.keyboard.type('1');
	await page.keyboard.press('Enter');
	await page.locator('.app-facts', { hasText: '1 of 1 ready' }).waitFor({ timeout: slow });
	await settled(1);
	await page.keyboard.press('Control+k');
	await page.keyboard.type('nothing is called so');
	await page.getByText('Nothing is called that.').waitFor();
	await page.keyboard.press('Escape');
});

step('images are listed, and a file that is none is refused in words', async () => {
	await page.getByRole('link', { name: 'Images', exact: true }).click();
	await page.getByRole('row', { name: new RegExp(to.images[0]) }).waitFor();
	const nonsense = join(tmpdir(), `hks-nonsense-${process.pid}.tar`);
	writeFileSync(nonsense, 'this is no archive');
	watched.expect(/\/api\/images/);
	await page.getByLabel('Image file').setInputFiles(nonsense);
	await page.getByRole('alert').waitFor({ timeout: slow });
	assert.ok((await page.locator('.fix').innerText()).length > 0, 'the mend is named');
	await portrait(page, 'images');
	await page.getByRole('row', { name: new RegExp(to.images[0]) }).getByText('web/staging').waitFor();
	await page.getByRole('progressbar', { name: 'Images quota' }).waitFor();
	if (to.real) { // all of its images are new
		await button('Prune').click();
		await page.getByText('There is nothing to remove').waitFor();
		return;
	}
	const archive = join(tmpdir(), `hks-archive-${process.pid}.tar`);
	assert.equal(spawnSync('tar', ['-cf', archive, '-C', tmpdir(), basename(nonsense)]).status, 0);
	await page.getByLabel('Image file').setInputFiles(archive);
	await page.getByRole('row', { name: /loaded:2/ }).waitFor();
	await button('Prune').click();
	await page.getByRole('list', { name: 'Images that go' }).getByText('loaded:2').waitFor();
	await portrait(page, 'prune');
	await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
	await page.getByText('1 image removed').waitFor();
	await page.getByRole('row', { name: /loaded:2/ }).waitFor({ state: 'detached' });
});

step('settings: a token is shown once and revoked, the files are there', async () => {
	await page.getByRole('link', { name: 'Settings', exact: true }).click();
	await page.getByLabel('New token').fill('laptop');
	await button('Create').click();
	assert.match(await page.locator('.secret code').innerText(), /^hks_/);
	await portrait(page, 'settings');
	await button('Revoke').click();
	await heading('Revoke laptop?').waitFor();
	await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
	await page.getByText('The token laptop is revoked.').waitFor();
	for (const [path, begins] of /** @type {[string, RegExp][]} */ ([['/ca.crt', /^-----BEGIN CERTIFICATE/], ['/api/workspace/kubeconfig', /apiVersion/]])) {
		const answer = await page.evaluate((path) => fetch(path).then((answer) => answer.text()), path);
		assert.match(answer, begins, path);
	}
});

step('the end of a session leads to the log-in and back', async () => {
	const cookies = await browser.context.cookies();
	assert.ok(cookies.find((cookie) => cookie.name === 'hks_session')?.httpOnly);
	await browser.context.clearCookies();
	watched.expect(/401/);
	await page.getByRole('link', { name: 'Images', exact: true }).click();
	await heading('Log in').waitFor();
	await page.getByLabel('Password').fill('certainly not this one');
	await button('Log in').click();
	await page.getByText('The password is wrong').waitFor();
	await portrait(page, 'login');
	await page.getByLabel('Password').fill(password);
	await page.getByLabel('Password').press('Enter');
	await heading('Images').waitFor();
});

step('A19 delete asks for the name, and tells what it removed', async () => {
	await page.goto(`${to.url}/apps/web/staging`);
	await heading('web').waitFor();
	await button('Delete').click();
	await heading('Delete web in staging?').waitFor();
	const confirm = button('Delete for good');
	assert.ok(await confirm.isDisabled());
	await page.getByLabel('Type web to confirm').fill('wen');
	assert.ok(await confirm.isDisabled());
	await page.getByLabel('Type web to confirm').fill('web');
	await portrait(page, 'delete', { full: false });
	watched.expect(/404.*\/api\/apps\/web\/staging/); // asked whether it is gone
	await confirm.click();
	await page.getByText(to.real ? /web in staging is deleted/ : /web in staging is deleted: \d+ objects? removed/).waitFor({ timeout: slow });
	await heading('Deploy your first app').waitFor({ timeout: slow }); // whatever else the machine needs
});

step('logging out ends the session', async () => {
	await page.getByRole('link', { name: 'Settings', exact: true }).click();
	await button('Log out').click();
	await heading('Log in').waitFor();
	assert.equal(await page.evaluate(() => fetch('/api/apps').then((answer) => answer.status)), 401);
});
