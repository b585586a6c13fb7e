import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { tell } from '../actions.js';
import { changedLines, compareLines } from '../lines.js';
import { Cli } from './cli.js';
import { Field } from './field.js';
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

/** Variables are set and taken away; their values are never shown. @param {{of: hks.FunctionState, onDone: () => unknown}} props */
export function FunctionVariables({ of, onDone }) {
	const [name, setName] = useState((of.missing || [])[0] || '');
	const [value, setValue] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const change = async (/** @type {Record<string, string>} */ set, /** @type {string[]} */ unset) => {
		setError(null);
		try {
			await api.setFunctionEnv(of.name, { set, unset });
			setName('');
			setValue('');
			await onDone();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	const save = (/** @type {Event} */ event) => {
		event.preventDefault();
		void change({ [name]: value }, []);
	};
	return html`<form class="card-body" onSubmit=${save} aria-label=${`Variables of ${of.name}`} autocomplete="off">
		<ul class="vars">${of.variables.map((one) => html`<li key=${one}><code>${one}</code> <span class="muted">kept sealed</span><span class="spacer"></span><button type="button" class="button small" aria-label=${`Unset ${one}`} onClick=${() => change({}, [one])}>Unset</button></li>`)}</ul>
		<${Field} label="Variable" value=${name} onValue=${setName} input=${{ class: 'mono' }} />
		<${Field} label="Value" value=${value} onValue=${setValue} type="password" hint="The next call has it." input=${{ autocomplete: 'off' }} />
		<p><button type="submit" class="button" disabled=${!name}>Set</button></p>
		<${Cli} command=${`hks function secret set ${of.name} ${name || 'NAME'}=-`} />
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
	</form>`;
}

/** What a version changed of the one before. @param {{of: hks.FunctionState, version: number, before: number}} props */
function FunctionDiff({ of, version, before }) {
	const [files, setFiles] = useState(/** @type {{name: string, lines: ReturnType<typeof compareLines>}[] | null} */ (null));
	useEffect(() => {
		const source = (/** @type {number} */ number) => (number ? api.functionSource(of.name, number) : Promise.resolve({ spec: null, files: {} }));
		Promise.all([source(before), source(version)]).then(([was, is]) => {
			/** @param {any} one @returns {Record<string, string>} */
			const texts = (one) => ({ ...Object.fromEntries(Object.entries(one.files).map(([name, bytes]) => [name, fromBytes(/** @type {string} */ (bytes))])), ...(one.spec ? { settings: JSON.stringify(one.spec, null, 2) } : {}) });
			const [a, b] = [texts(was), texts(is)];
			const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
			setFiles(names.filter((name) => a[name] !== b[name]).map((name) => ({ name, lines: changedLines(compareLines(a[name] || '', b[name] || '')) })));
		}, tell);
	}, [of.name, version, before]);
	if (!files) return html`<p class="muted" role="status">Loading…</p>`;
	if (files.length === 0) return html`<p class="card-note muted">Nothing is different.</p>`;
	return html`${files.map((file) => html`<h3 class="mono" key=${file.name}>${file.name}</h3>
		<pre class="diff mono" tabindex="0" aria-label=${`Changes of ${file.name} in version ${version}`}>${file.lines.map((line) => html`<span class=${line.sign === '+' ? 'come' : line.sign === '-' ? 'gone' : ''}>${line.sign} ${line.text}${'\n'}</span>`)}</pre>`)}`;
}

/** @param {{of: hks.FunctionState, onDone: () => unknown}} props */
export function FunctionVersions({ of, onDone }) {
	const [shown, setShown] = useState(0);
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
			<button type="button" class="button small" aria-expanded=${shown === version.number} aria-label=${`Changes of version ${version.number}`} onClick=${() => setShown(shown === version.number ? 0 : version.number)}>Changes</button>
			${version.status === 'ready' && version.number !== of.version && html`<button type="button" class="button small" onClick=${() => back(version.number)}>Go back to it</button>`}</p>
		${version.failure && html`<${Problem} message=${version.failure.message} fix=${version.failure.fix} />${(version.failure.logs || []).length > 0 && html`<pre class="terminal" tabindex="0">${(version.failure.logs || []).join('\n')}</pre>`}`}
		${shown === version.number && html`<${FunctionDiff} of=${of} version=${version.number} before=${version.number - 1} />`}
	</li>`)}</ol>`;
}
