// The vendored libraries are the published ones, but for the edits that their
// README names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const published = (/** @type {string} */ path) => read(`./node_modules/${path}`);
const withoutMap = (/** @type {string} */ text) => text.replace(/^\/\/# sourceMappingURL=.*\n?/m, '');

/** @type {Record<string, () => string>} */
const files = {
	'preact.js': () => withoutMap(published('preact/dist/preact.mjs')),
	'hooks.js': () => withoutMap(published('preact/hooks/dist/hooks.mjs')).replace('from"preact"', 'from"./preact.js"'),
	'htm.js': () => published('htm/dist/htm.module.js'),
	'uplot.js': () => `${published('uplot/dist/uPlot.iife.min.js').replace(/^\n/gm, '')}export default uPlot;\n`,
	'uplot.css': () => published('uplot/dist/uPlot.min.css'),
	'prism.js': () => `${['core', 'clike', 'javascript', 'python', 'go', 'json', 'yaml'].map((part) => published(`prismjs/components/prism-${part}.min.js`)).join('\n').replace(/^\n/gm, '')}\nexport default Prism;\n`,
	'preact.LICENSE': () => published('preact/LICENSE'),
	'htm.LICENSE': () => published('htm/LICENSE'),
	'uplot.LICENSE': () => published('uplot/LICENSE'),
	'prism.LICENSE': () => published('prismjs/LICENSE'),
};

for (const [name, expected] of Object.entries(files)) {
	test(`vendor/${name} is as published`, () => {
		assert.equal(read(`../../ui/web/vendor/${name}`).trimEnd(), expected().trimEnd());
	});
}

test('the README names the versions', () => {
	const readme = read('../../ui/web/vendor/README.md');
	for (const name of ['preact', 'htm', 'uplot', 'prismjs']) {
		assert.match(readme, new RegExp(`\\| ${name} \\| ${JSON.parse(published(`${name}/package.json`)).version.replaceAll('.', '\\.')} \\|`));
	}
});
