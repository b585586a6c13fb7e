import { useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { commands } from '../commands.js';
import { scaleWords } from '../format.js';
import { html } from '../html.js';
import { putApp, toast } from '../store.js';
import { Choice } from './choice.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Icon } from './icon.js';

const mostReplicas = 100;

/** How the number of instances comes about. */
const fixed = 'a fixed number', follows = 'follows the load';

/** @typedef {{fixed: string, min: string, max: string, cpu: string}} Numbers */

/** @param {hks.ComponentState | undefined} one @returns {Numbers} */
function numbersOf(one) {
	const { min = 1, max = 0, cpu = 70 } = one?.autoscale || {};
	const now = one?.replicas || 1;
	return { fixed: String(now), min: String(min), max: String(max || Math.max(now + 1, 4)), cpu: String(cpu) };
}

/** @param {string} text @param {number} least @param {number} most */
const within = (text, least, most) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;

/** What is wrong, by field. @param {Numbers} numbers @param {boolean} auto @returns {Partial<Numbers>} */
function check(numbers, auto) {
	if (!auto) return within(numbers.fixed, 1, mostReplicas) ? {} : { fixed: `From 1 to ${mostReplicas}; to have none, stop the app.` };
	/** @type {Partial<Numbers>} */
	const problems = {};
	if (!within(numbers.min, 1, mostReplicas)) problems.min = `From 1 to ${mostReplicas}.`;
	else if (!within(numbers.max, Number(numbers.min) + 1, mostReplicas)) problems.max = `From ${Number(numbers.min) + 1} to ${mostReplicas}.`;
	if (!within(numbers.cpu, 10, 100)) problems.cpu = 'From 10 to 100 %.';
	return problems;
}

/** @param {{app: hks.App, component?: string}} props */
export function ScaleDialog({ app, component }) {
	const several = app.components.length > 1;
	const [name, setName] = useState(component || app.components[0].name);
	const state = app.components.find((one) => one.name === name);
	const [auto, setAuto] = useState(Boolean(state?.autoscale));
	const [numbers, setNumbers] = useState(() => numbersOf(state));
	const problems = check(numbers, auto);
	const ready = Object.keys(problems).length === 0;
	const set = (/** @type {keyof Numbers} */ field) => (/** @type {string} */ value) => setNumbers((all) => ({ ...all, [field]: value }));
	const step = (/** @type {number} */ by) => set('fixed')(String(Math.min(mostReplicas, Math.max(1, (Number(numbers.fixed) || 0) + by))));
	const choose = (/** @type {string} */ chosen) => {
		const one = app.components.find((it) => it.name === chosen);
		setName(chosen);
		setAuto(Boolean(one?.autoscale));
		setNumbers(numbersOf(one));
	};
	/** @type {hks.Scale} */
	const scale = auto ? { min: Number(numbers.min), max: Number(numbers.max), cpu: Number(numbers.cpu) } : Number(numbers.fixed);
	const run = async () => {
		putApp(await api.scale(app.name, app.environment, name, scale));
		toast({ kind: 'success', message: `${several ? `${name} of ${app.name}` : app.name} goes to ${scaleWords(scale)}.` });
	};
	return html`<${FormDialog} title=${`Scale ${app.name}`} action="Scale" command=${commands.scale(app, ready ? scale : state?.replicas || 1, several ? name : '')} run=${run} ready=${ready}>
		<p>How many instances ${several ? 'a component of' : 'of'} ${app.name} ${several ? 'has' : 'there are'} in ${app.environment}. Releases and rollbacks keep it.</p>
		${several && html`<${Choice} label="Component" value=${name} onValue=${choose} options=${app.components.map((one) => one.name)} />`}
		<${Choice} label="Number of instances" value=${auto ? follows : fixed} onValue=${(/** @type {string} */ value) => setAuto(value === follows)} options=${[fixed, follows]} />
		${auto
			? html`<div class="fields">
				<${Field} label="At least" value=${numbers.min} onValue=${set('min')} problem=${problems.min} input=${{ inputMode: 'numeric' }} />
				<${Field} label="At most" value=${numbers.max} onValue=${set('max')} problem=${problems.max} input=${{ inputMode: 'numeric' }} />
				<${Field} label="CPU, percent" value=${numbers.cpu} onValue=${set('cpu')} problem=${problems.cpu} input=${{ inputMode: 'numeric' }} />
				<p class="field-hint autoscale-hint">The percentage is of the CPU limit of an instance. Above it another one comes at once; below, one goes a minute, after five quiet minutes.</p>
			</div>`
			: html`<div class="stepper">
				<button type="button" class="button" aria-label="One less" onClick=${() => step(-1)}><${Icon} name="minus" /></button>
				<${Field} label="Replicas" value=${numbers.fixed} onValue=${set('fixed')} problem=${problems.fixed} input=${{ inputMode: 'numeric', autofocus: true }} />
				<button type="button" class="button" aria-label="One more" onClick=${() => step(1)}><${Icon} name="plus" /></button>
			</div>`}
	</${FormDialog}>`;
}
