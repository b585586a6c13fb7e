import { useId } from '../vendor/hooks.js';
import { html } from '../html.js';
import { Choice } from './choice.js';
import { Field } from './field.js';

/** Lines of NAME=VALUE as an object. @param {string} text */
const fromLines = (text) => Object.fromEntries(text.split('\n').map((line) => line.trim()).filter((line) => line.includes('='))
	.map((line) => [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1).trim()]));

/**
 * What was typed as the values of a chart: only what is not its own value anyhow.
 * @param {hks.CatalogueEntry} entry @param {Record<string, string>} typed
 */
export function chartValues(entry, typed) {
	/** @type {Record<string, any>} */
	const values = {};
	for (const [name, text] of Object.entries(typed)) {
		const property = entry.schema?.properties?.[name];
		if (text === '' || text === String(entry.values?.[name] ?? '')) continue;
		if (property?.type === 'object') values[name] = fromLines(text);
		else if (property?.type === 'boolean') values[name] = text === 'true';
		else values[name] = property?.type === 'integer' ? Number(text) : text;
	}
	return values;
}

/** What is wrong with a value, by the chart's own rules. @param {{pattern?: string, description?: string}} property @param {string} text */
const wrong = (property, text) => (text && property.pattern && !new RegExp(property.pattern).test(text) ? `This is not ${property.description || 'allowed'}.` : '');

/** @param {hks.CatalogueEntry} entry @param {Record<string, string>} typed */
export const chartReady = (entry, typed) => Object.entries(entry.schema?.properties || {}).every(([name, property]) => !wrong(property, typed[name] || ''));

/**
 * The form of a chart's values, made from its schema.
 * @param {{entry: hks.CatalogueEntry, typed: Record<string, string>, onTyped: (typed: Record<string, string>) => void}} props
 */
export function ServiceForm({ entry, typed, onTyped }) {
	return html`${Object.entries(entry.schema?.properties || {}).map(([name, property]) => {
		const value = typed[name] ?? '';
		const put = (/** @type {string} */ text) => onTyped({ ...typed, [name]: text });
		const label = property.title || name;
		if (property.type === 'boolean') return html`<${Choice} key=${name} label=${label} value=${value || String(entry.values?.[name] ?? false)} onValue=${put} options=${['true', 'false']} />`;
		if (property.type === 'object') return html`<${Lines} key=${name} label=${label} hint=${property.description} value=${value} onValue=${put} />`;
		return html`<${Field} key=${name} label=${label} value=${value} onValue=${put} hint=${property.description} problem=${wrong(property, value)}
			input=${{ placeholder: String(entry.values?.[name] ?? '') }} />`;
	})}`;
}

/** @param {{label: string, value: string, hint?: string, onValue: (value: string) => void}} props */
function Lines({ label, value, hint, onValue }) {
	const id = useId();
	return html`<div class="field">
		<label for=${id}>${label} <span class="muted">optional</span></label>
		<textarea id=${id} rows="2" spellcheck=${false} placeholder="name=value" aria-describedby="${id}-told" value=${value}
			onInput=${(/** @type {any} */ event) => onValue(event.target.value)}></textarea>
		<p id="${id}-told" class="field-hint">${hint}; one on a line</p>
	</div>`;
}
