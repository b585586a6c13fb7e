// Opens a deployed shop, the sample of a page and its API, and sees that the
// page shows what came from the API. HKS_APP_URL is its address.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { artefacts, launch, open } from './lib/browser.js';

const url = process.env.HKS_APP_URL;
assert.ok(url, 'HKS_APP_URL names the page');
const answer = await launch();
try {
	const { page } = await open(answer.context);
	const [items] = await Promise.all([
		page.waitForResponse((response) => new URL(response.url()).pathname === '/api/items'),
		page.goto(url),
	]);
	const { items: sold } = await items.json();
	assert.ok(sold.length > 0, 'the API has something to sell');
	for (const item of sold) await page.getByText(item.name, { exact: true }).waitFor();
	await page.screenshot({ path: join(artefacts, 'shop.png') });
} finally {
	await answer.close();
}
