// The browser, watched: what it complains about fails a test.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const artefacts = process.env.HKS_ARTEFACTS || fileURLToPath(new URL('../../artefacts', import.meta.url));
mkdirSync(artefacts, { recursive: true });

const flags = [
	'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
	'--disable-sync', '--ignore-certificate-errors',
];

/** Starts a browser with a profile of its own. */
export async function launch() {
	const profile = mkdtempSync(join(tmpdir(), 'hks-browser-'));
	const context = await chromium.launchPersistentContext(profile, {
		executablePath: process.env.HKS_CHROMIUM || '/usr/bin/chromium', args: flags, headless: true, ignoreHTTPSErrors: true,
		viewport: wide, colorScheme: 'light', locale: 'en-GB', reducedMotion: 'reduce',
	});
	context.setDefaultTimeout(patience);
	await context.grantPermissions(['clipboard-read', 'clipboard-write']);
	return {
		context,
		close: async () => {
			await context.close();
			rmSync(profile, { recursive: true, force: true });
		},
	};
}

/** @typedef {import('playwright-core').Locator} Locator */

const patience = 15_000; // ms, as the browser's own
const wide = { width: 1280, height: 860 };
const narrow = { width: 360, height: 760 };

/**
 * Opens a page that keeps what goes wrong in it.
 * @param {import('playwright-core').BrowserContext} context
 */
export async function open(context) {
	const page = await context.newPage();
	/** @type {string[]} */
	const complaints = [];
	/** @type {RegExp[]} */
	const expected = [];
	await page.addInitScript(() => {
		addEventListener('securitypolicyviolation', (event) => console.error(`blocked by the policy: ${event.violatedDirective} ${event.blockedURI}`));
	});
	page.on('pageerror', (error) => complaints.push(`error: ${error.stack || error.message}`));
	page.on('console', (message) => {
		if (message.type() !== 'error' && message.type() !== 'warning') return;
		const text = `${message.text()} ${message.location().url}`;
		if (!expected.some((pattern) => pattern.test(text))) complaints.push(`console: ${text}`);
	});
	return {
		page,
		/** An answer that the browser reports as an error though the test wants it. @param {RegExp} pattern */
		expect: (pattern) => void expected.push(pattern),
		quiet: () => assert.deepEqual(complaints.splice(0), [], 'the browser complains'),
	};
}

/**
 * Looks at a screen from all sides: a picture in light, dark and narrow, the
 * rules of accessibility in both schemes, and nothing wider than the window.
 * @param {import('playwright-core').Page} page
 * @param {string} name
 * @param {{full?: boolean}} [options]
 */
export async function portrait(page, name, { full = true } = {}) {
	const problems = [];
	for (const [view, size, scheme] of /** @type {const} */ ([['light', wide, 'light'], ['dark', wide, 'dark'], ['narrow', narrow, 'light'], ['narrow-dark', narrow, 'dark']])) {
		await page.emulateMedia({ colorScheme: scheme });
		await page.setViewportSize(size);
		if (full) await page.evaluate(() => scrollTo(0, 0)); // else the bar at the top lies across the picture
		await settled(page);
		await page.screenshot({ path: join(artefacts, `${name}-${view}.png`), fullPage: full });
		const wider = await page.evaluate(() => {
			const width = document.documentElement.clientWidth;
			if (document.documentElement.scrollWidth <= width) return [];
			return [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > width + 1).map((element) => `${element.tagName}.${element.className}`);
		});
		if (wider.length > 0) problems.push(`${view}: wider than the window: ${wider.join(', ')}`);
		if (view === 'narrow-dark') continue; // the rules see nothing new in it
		for (const violation of await violations(page)) problems.push(`${view}: ${violation}`);
	}
	await page.emulateMedia({ colorScheme: 'light' });
	await page.setViewportSize(wide);
	assert.deepEqual(problems, [], name);
}

/** Waits until a list reads as it should, and says how it reads when it never does. @param {Locator} list @param {string[]} texts */
export async function listed(list, texts) {
	for (const end = Date.now() + patience; ; await list.page().waitForTimeout(50)) {
		const now = await list.allInnerTexts();
		if (Date.now() > end || now.join('\n') === texts.join('\n')) return assert.deepEqual(now, texts);
	}
}

/** Waits until there are just so many. @param {Locator} found @param {number} many @param {string} [why] */
export async function counted(found, many, why) {
	for (const end = Date.now() + patience; ; await found.page().waitForTimeout(50)) {
		const now = await found.count();
		if (Date.now() > end || now === many) return assert.equal(now, many, why || `there are ${now}`);
	}
}

/** Two frames on, everything is where it will be. @param {import('playwright-core').Page} page */
async function settled(page) {
	await page.evaluate(() => document.fonts.ready.then(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 60))))));
}

/** Of rows that are all alike, the first speak for the others. @param {import('playwright-core').Page} page @returns {Promise<string[]>} */
async function violations(page) {
	await page.evaluate(axe);
	const found = await page.evaluate(async () => {
		const { violations } = await /** @type {any} */ (window).axe.run({ exclude: ['.log:nth-child(n+4)', '.apps tr:nth-child(n+9)'] }, { resultTypes: ['violations'] });
		return violations.map((/** @type {any} */ violation) => ({
			impact: violation.impact,
			text: `${violation.id}: ${violation.help} at ${violation.nodes.map((/** @type {any} */ node) => node.target.join(' ')).join(', ')}`,
		}));
	});
	return found.filter((/** @type {any} */ one) => one.impact === 'serious' || one.impact === 'critical').map((/** @type {any} */ one) => one.text);
}
