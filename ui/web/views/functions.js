import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { Cli } from '../components/cli.js';
import { CopyButton } from '../components/copy-button.js';
import { DeleteFunctionDialog, FunctionEditor } from '../components/function-editor.js';
import { FunctionCallCard, FunctionVariables, FunctionVersions } from '../components/function-parts.js';
import { KeptFigures } from '../components/kept-figures.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { html } from '../html.js';
import { useTitle } from '../title.js';

const functionPeriod = 3_000;

/** @param {hks.FunctionState} one */
function condition(one) {
	if (one.version === 0) return html`<${Status} status="pending" label="no version serves" />`;
	if ((one.missing || []).length > 0) return html`<${Status} status="error" label="variables missing" />`;
	return html`<${Status} status="running" label=${one.instances > 0 ? `${one.instances} warm` : 'idle'} />`;
}

/** The functions: write, try, call, go back. */
export function FunctionsView() {
	const [functions, setFunctions] = useState(/** @type {hks.FunctionState[] | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [editing, setEditing] = useState(/** @type {hks.FunctionState | 'new' | null} */ (null));
	const [leaving, setLeaving] = useState(/** @type {hks.FunctionState | null} */ (null));
	const [open, setOpen] = useState(/** @type {string | null} */ (null));
	useTitle('Functions');
	const list = () => api.functions().then((found) => { setFunctions(found || []); setError(null); }, setError);
	useEffect(() => {
		void list();
		const timer = setInterval(() => document.hidden || list(), functionPeriod);
		return () => clearInterval(timer);
	}, []);
	const redrive = (/** @type {string} */ name) => api.redriveFunction(name).then(list, tell);
	return html`
		<header class="page-head">
			<div><h1>Functions</h1><p class="muted">A handler and nothing else: it waits warm, holds no pod while it is idle, and keeps its last good version.</p></div>
			<button type="button" class="button primary" onClick=${() => setEditing('new')}>New function</button>
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${functions ? undefined : list} />`}
		${editing && html`<${FunctionEditor} key=${editing === 'new' ? '' : editing.name} of=${editing === 'new' ? undefined : editing} onDone=${list} onClose=${() => setEditing(null)} />`}
		${(functions || []).map((one) => html`<section class="card" key=${one.name} aria-label=${`Function ${one.name}`}>
			<header class="card-head">
				<h2>${one.name}</h2>${condition(one)}<span class="tag">${one.spec.runtime}</span>${one.version > 0 && html`<span class="muted">version ${one.version}</span>`}
				<span class="spacer"></span>
				<button type="button" class="button small" onClick=${() => setEditing(one)}>Edit</button>
				<button type="button" class="button small" onClick=${() => setLeaving(one)}>Delete</button>
			</header>
			<div class="card-body"><dl class="facts">
				<div><dt>Address</dt><dd class="mono">${one.url}<${CopyButton} text=${one.url} what="address" /></dd></div>
				<div><dt>Called by</dt><dd>${[one.spec.public ? 'anyone' : 'who has the key', ...(one.spec.triggers || []).map((trigger) => trigger.event ? `events ${trigger.event}` : `${trigger.cron} ${trigger.timeZone || 'UTC'}`)].join('; ')}</dd></div>
				<div><dt>Memory and time</dt><dd>${one.spec.memory} MiB, ${one.spec.timeout} s</dd></div>
				<div><dt>Variables</dt><dd>${one.variables.join(', ') || 'none'}</dd></div>
			</dl></div>
			${(one.missing || []).length > 0 && html`<${Problem} message=${`It requires variables that are not set: ${(one.missing || []).join(', ')}.`} fix=${`Set them with: hks function env set ${one.name} ${(one.missing || [])[0]}=VALUE`} />`}
			${one.dead > 0 && html`<${Problem} message=${`${one.dead} asynchronous calls were given up.`} fix=${`Look at them with: hks function dead-letters ${one.name}`} retry=${() => redrive(one.name)} />`}
			<button type="button" class="button quiet wide" aria-expanded=${open === one.name} onClick=${() => setOpen(open === one.name ? null : one.name)}>${open === one.name ? 'Less' : 'Call it, its variables, figures and versions'}</button>
			${open === one.name && html`<${KeptFigures} kind="function" name=${one.name} only=${['requests', 'errors', 'p95']} none="It was not called in the last day." /><${FunctionCallCard} of=${one} /><${FunctionVariables} of=${one} onDone=${list} /><${FunctionVersions} of=${one} onDone=${list} />`}
		</section>`)}
		${functions && functions.length === 0 && !editing && html`<section class="card"><p class="card-note muted">There is no function yet.</p><${Cli} command="hks function init hello --runtime nodejs" /></section>`}
		${leaving && html`<${DeleteFunctionDialog} of=${leaving} onDone=${list} onClose=${() => setLeaving(null)} />`}`;
}
