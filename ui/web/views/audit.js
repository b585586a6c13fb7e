import { useEffect, useState } from '../vendor/hooks.js';
import { applianceApi } from '../appliance.js';
import { ApiError } from '../api.js';
import { html } from '../html.js';
import { useTitle } from '../title.js';
import { Cli } from '../components/cli.js';
import { Field } from '../components/field.js';
import { Problem } from '../components/problem.js';
import { Time } from '../components/time.js';

const page = 50;

/** Who asked for which change, and what came of it. */
export function AuditView() {
	useTitle('Audit log');
	const [text, setText] = useState('');
	const [failed, setFailed] = useState(false);
	const [entries, setEntries] = useState(/** @type {hks.AuditEntry[] | null} */ (null));
	const [more, setMore] = useState(false);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const load = async (/** @type {hks.AuditEntry[]} */ before) => {
		try {
			const found = await applianceApi.audit({ text, failed, before: before.at(-1)?.id || 0, limit: page }) || [];
			setEntries([...before, ...found]);
			setMore(found.length === page);
			setError(null);
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	useEffect(() => {
		const timer = setTimeout(() => void load([]), entries ? 250 : 0);
		return () => clearTimeout(timer);
	}, [text, failed]);
	const command = ['hks audit', text && `--text ${/^[-\w=:/]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`}`, failed && '--failed'].filter(Boolean).join(' ');
	return html`
		<header class="page-head"><div><h1>Audit log</h1><p class="muted">Every request that changes something, and what came of it. Kept for a year.</p></div>
			<a class="button" href="/settings">Settings</a></header>
		<section class="card" aria-label="Audit log">
			<div class="card-body">
				<${Field} label="Request or target" value=${text} onValue=${setText} input=${{ placeholder: 'such as releases, or app=web', maxLength: 100 }} />
				<label class="check"><input type="checkbox" checked=${failed} onChange=${(/** @type {any} */ event) => setFailed(event.target.checked)} /> Only what was refused or failed</label>
				<${Cli} command=${command} />
			</div>
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${() => load(entries || [])} />`}
			${entries && entries.length === 0 && html`<p class="card-note muted">There is no such entry.</p>`}
			${entries && entries.length > 0 && html`<table class="plain" role="table" aria-label="Entries">
				<thead role="rowgroup"><tr role="row">${['When', 'Who', 'From', 'Request', 'Target', 'Outcome'].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
				<tbody role="rowgroup">${entries.map((one) => html`<tr role="row" key=${one.id}>
					<td role="cell" data-label="When"><${Time} at=${one.time} /></td>
					<td role="cell" data-label="Who"><strong>${one.who || 'nobody known'}</strong> <span class="muted">${one.token ? `token ${one.token}` : one.via}</span></td>
					<td role="cell" data-label="From">${one.address || 'the machine'}</td>
					<td role="cell" data-label="Request"><code class="breaks">${one.method} ${one.route}</code></td>
					<td role="cell" data-label="Target">${one.target}</td>
					<td role="cell" data-label="Outcome">${one.code ? html`<strong class="bad">${one.status} ${one.code}</strong>` : one.status}</td>
				</tr>`)}</tbody>
			</table>`}
			${more && html`<p class="card-note"><button type="button" class="button" onClick=${() => load(entries || [])}>Show older ones</button></p>`}
		</section>`;
}
