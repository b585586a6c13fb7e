import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { tell } from '../actions.js';
import { Cli } from './cli.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** Text as the API has bytes: base64 of UTF-8. @param {string} text */
export const toBytes = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** @param {string} bytes */
export const fromBytes = (bytes) => new TextDecoder().decode(Uint8Array.from(atob(bytes || ''), (one) => one.charCodeAt(0)));

/** A call to try it, with what comes of it. @param {{of: hks.FunctionState}} props */
export function FunctionCallCard({ of }) {
	const [payload, setPayload] = useState('{}');
	const [answer, setAnswer] = useState(/** @type {hks.FunctionAnswer | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [busy, setBusy] = useState(false);
	const call = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setBusy(true);
		setError(null);
		setAnswer(null);
		try {
			setAnswer(await api.invokeFunction(of.name, { payload: toBytes(payload), headers: { 'Content-Type': 'application/json' } }));
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
		setBusy(false);
	};
	return html`<form class="card-body" onSubmit=${call} aria-label=${`Call ${of.name}`}>
		<div class="field"><label for="call-payload">Request</label><textarea id="call-payload" class="mono" rows="3" spellcheck=${false} value=${payload} onInput=${(/** @type {any} */ event) => setPayload(event.target.value)}></textarea></div>
		<p><button type="submit" class="button" disabled=${busy || of.version === 0}>${busy ? 'Calling…' : 'Call'}</button></p>
		<${Cli} command=${`hks function invoke ${of.name} --data '${payload}'`} />
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
		${answer && html`<p role="status"><${Status} status=${answer.status < 400 ? 'succeeded' : 'failed'} label=${String(answer.status)} /> <span class="muted">${answer.cold ? 'cold' : 'warm'}, ${Math.round(answer.millis)} ms</span></p>
			<pre class="terminal" aria-label="Answer" tabindex="0">${fromBytes(answer.body) || 'It answered nothing.'}</pre>`}
	</form>`;
}

/** @param {{of: hks.FunctionState, onDone: () => unknown}} props */
export function FunctionVersions({ of, onDone }) {
	const [versions, setVersions] = useState(/** @type {hks.FunctionVersion[] | null} */ (null));
	useEffect(() => void api.functionVersions(of.name).then((found) => setVersions(found || []), tell), [of.name, of.version]);
	const back = async (/** @type {number} */ number) => {
		try {
			await api.rollbackFunction(of.name, number);
			toast({ kind: 'success', message: `Version ${number} of ${of.name} serves.` });
			await onDone();
		} catch (cause) {
			tell(cause);
		}
	};
	if (!versions) return html`<p class="muted" role="status">Loading…</p>`;
	return html`<ol class="runs" aria-label=${`Versions of ${of.name}`}>${versions.map((version) => html`<li key=${version.number}>
		<p><strong>#${version.number}</strong> <${Status} status=${version.status === 'ready' ? 'ready' : version.status === 'failed' ? 'failed' : 'updating'} label=${version.number === of.version ? 'serves' : version.status} />
			<span class="muted"> by ${version.by}, <${Time} at=${version.createdAt} never="–" /></span><span class="spacer"></span>
			${version.status === 'ready' && version.number !== of.version && html`<button type="button" class="button small" onClick=${() => back(version.number)}>Go back to it</button>`}</p>
		${version.failure && html`<${Problem} message=${version.failure.message} fix=${version.failure.fix} />${(version.failure.logs || []).length > 0 && html`<pre class="terminal" tabindex="0">${(version.failure.logs || []).join('\n')}</pre>`}`}
	</li>`)}</ol>`;
}
