import { hidden } from '../commands.js';
import { html } from '../html.js';
import { looksSecret } from '../validate.js';
import { Icon } from './icon.js';

/**
 * Environment variables. A value that the appliance keeps back shows as dots
 * and stays as it is until another is typed.
 * @param {{rows: {id: number, key: string, value: string}[], onRows: (rows: {id: number, key: string, value: string}[]) => void, problem: (id: number) => string}} props
 */
export function EnvRows({ rows, onRows, problem }) {
	const change = (/** @type {number} */ id, /** @type {{key?: string, value?: string}} */ patch) =>
		onRows(rows.map((row) => (row.id === id ? { ...row, ...patch } : row)));
	const add = () => onRows([...rows, { id: Math.max(-1, ...rows.map((row) => row.id)) + 1, key: '', value: '' }]);
	/** A pasted .env file becomes rows. @param {ClipboardEvent} event */
	const paste = (event) => {
		const pairs = [...(event.clipboardData?.getData('text') || '').matchAll(/^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$/gm)];
		if (pairs.length === 0) return;
		event.preventDefault();
		const first = Math.max(-1, ...rows.map((row) => row.id)) + 1;
		const kept = rows.filter((row) => row.key !== '' || row.value !== '');
		onRows([...kept, ...pairs.map(([, key, value], i) => ({ id: first + i, key, value: value.trim().replace(/^(["'])(.*)\1$/, '$2') }))]);
	};
	return html`<fieldset class="env">
		<legend>Environment variables</legend>
		${rows.map((row) => html`<div class="env-row" key=${row.id}>
			<input aria-label="Variable name" placeholder="KEY" value=${row.key} aria-invalid=${problem(row.id) ? 'true' : undefined} spellcheck=${false} autocapitalize="off"
				onInput=${(/** @type {any} */ event) => change(row.id, { key: event.target.value })} onPaste=${paste} />
			<input type=${looksSecret(row.key) ? 'password' : 'text'} autocomplete=${looksSecret(row.key) ? 'new-password' : 'off'} aria-label=${`Value of ${row.key || 'the variable'}`} placeholder=${row.value === hidden ? '' : 'value'} value=${row.value} spellcheck=${false} autocapitalize="off"
				onFocus=${(/** @type {any} */ event) => row.value === hidden && event.target.select()}
				onInput=${(/** @type {any} */ event) => change(row.id, { value: event.target.value })} />
			<button type="button" class="icon-button" aria-label=${`Remove ${row.key || 'the variable'}`} onClick=${() => onRows(rows.filter((other) => other.id !== row.id))}><${Icon} name="close" /></button>
			${problem(row.id) && html`<p class="field-problem">${problem(row.id)}</p>`}
		</div>`)}
		<button type="button" class="button small quiet" onClick=${add}><${Icon} name="plus" />Add a variable</button>
	</fieldset>`;
}
