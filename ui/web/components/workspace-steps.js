import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { sentence } from '../format.js';
import { html } from '../html.js';
import { set, useStore } from '../store.js';
import { nameProblem } from '../validate.js';
import { retryWorkspace } from '../workspace.js';
import { Field } from './field.js';
import { Icon } from './icon.js';
import { Meter } from './meter.js';
import { Problem } from './problem.js';

const period = 1_000;

/** The agent's steps in words. */
const labels = new Map([
	['namespace', 'Private namespace'], ['access', 'Narrow access for hks'], ['pod security', 'Pod security'], ['quota', 'Quota'],
	['limits', 'Limits of each container'], ['network policy', 'Network policy'], ["owner's account", 'Your own account'], ['check', 'Everything seen in the cluster'],
]);

/** The workspace as it comes to life, and its name. */
export function WorkspaceSteps() {
	const workspace = useStore((state) => state.workspace);
	const [steps, setSteps] = useState(/** @type {string[]} */ ([]));
	const busy = !workspace || workspace.status === 'creating' || workspace.status === 'renaming';
	const step = workspace?.step;
	useEffect(() => {
		if (step) setSteps((seen) => (seen.includes(step) ? [...seen.slice(0, seen.indexOf(step) + 1)] : [...seen, step]));
	}, [step]);
	useEffect(() => {
		if (!busy) return;
		const timer = setInterval(() => {
			api.workspace().then((workspace) => set({ workspace })).catch(() => {}); // not there yet, or the stream tells
		}, period);
		return () => clearInterval(timer);
	}, [busy]);

	const list = steps.every((name) => labels.has(name)) ? [...labels.keys()] : steps;
	const at = steps.length > 0 ? list.lastIndexOf(steps[steps.length - 1]) : list.length;
	/** @param {number} i */
	const stateOf = (i) => (workspace?.status === 'ready' || i < at ? 'past' : i > at ? 'ahead' : busy ? 'now' : 'failed');
	return html`
		<p>${busy ? 'A private namespace with its quota and network policy is being made.' : workspace.status === 'ready' ? 'It is a private namespace with its own quota and network policy.' : ''}</p>
		<ol class="checklist" aria-live="polite">
			${busy && steps.length === 0 && html`<${Step} name="waiting for the cluster" state="now" />`}
			${(busy && steps.length === 0 ? [] : list).map((name, i) => html`<${Step} key=${`${i}${name}`} name=${labels.get(name) || name} state=${stateOf(i)} />`)}
		</ol>
		${workspace?.status === 'failed' && html`<${Problem} message=${workspace.reason || 'The workspace could not be made.'} fix=${workspace.fix} retry=${() => { setSteps([]); void retryWorkspace(workspace.name); }} />`}
		${workspace?.status === 'ready' && html`
			<div class="meters two">${workspace.resources.map((resource) => html`<${Meter} key=${resource.name} resource=${resource} />`)}</div>
			<${Rename} key=${workspace.name} workspace=${workspace} />
			<a class="button primary wide" href="/">Continue<${Icon} name="arrow" /></a>`}`;
}

/** @param {{name: string, state: string}} props */
function Step({ name, state }) {
	return html`<li class=${state}><i aria-hidden="true">${state === 'past' && html`<${Icon} name="check" />`}${state === 'failed' && html`<${Icon} name="close" />`}</i>${sentence(name)}</li>`;
}

/** The name can change as long as nothing lives in the namespace. @param {{workspace: hks.Workspace}} props */
function Rename({ workspace }) {
	const empty = useStore((state) => Object.keys(state.apps || {}).length === 0);
	const [name, setName] = useState(workspace.name);
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	if (!empty) return null;
	const problem = nameProblem(name);
	const submit = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (problem || name === workspace.name) return;
		setBusy(true);
		setError(null);
		try {
			set({ workspace: await api.renameWorkspace(name) });
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
		setBusy(false);
	};
	return html`<form class="rename" onSubmit=${submit} noValidate>
		<${Field} label="Name" value=${name} onValue=${setName} problem=${problem || (error ? sentence(error.message) : '')} hint="It can be changed until something is deployed." />
		<button type="submit" class="button" disabled=${busy || Boolean(problem) || name === workspace.name}>Rename</button>
	</form>
	${error?.fix && html`<p class="field-hint">${sentence(error.fix)}</p>`}`;
}
