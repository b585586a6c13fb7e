import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { bytes } from '../format.js';
import { html } from '../html.js';
import { putRelease, toast } from '../store.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';

/** Takes an app to another pool: what it needs, what is free, what happens. @param {{app: hks.App}} props */
export function MoveDialog({ app }) {
	const [places, setPlaces] = useState(/** @type {string[]} */ (['dedicated', 'shared']));
	const [to, setTo] = useState('dedicated');
	const [plan, setPlan] = useState(/** @type {hks.MovePlan | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	useEffect(() => {
		api.nodes().then((nodes) => setPlaces(['dedicated', 'shared', ...nodes.filter((node) => !node.own).map((node) => node.name)]), () => {}); // the two pools are always there
	}, []);
	useEffect(() => {
		let current = true;
		setPlan(null);
		setError(null);
		api.planMove(app.name, app.environment, to).then((found) => current && setPlan(found), (cause) => {
			if (!(cause instanceof ApiError)) throw cause;
			if (current) setError(cause);
		});
		return () => { current = false; };
	}, [to]);
	const run = async () => {
		const made = await api.move(app.name, app.environment, to);
		putRelease(made);
		toast({ kind: 'info', message: `${app.name} moves to ${to} as release ${made.number}.` });
	};
	return html`<${FormDialog} title=${`Move ${app.name} in ${app.environment}`} action="Move" command=${commands.move(app, to)} run=${run} ready=${Boolean(plan?.fits && plan.from !== plan.to)}>
		<label class="field"><span>To</span><select value=${to} onChange=${(/** @type {any} */ event) => setTo(event.target.value)}>${places.map((place) => html`<option key=${place} value=${place}>${place}</option>`)}</select></label>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
		${plan && html`<dl class="facts">
			<div><dt>From</dt><dd>${plan.from}</dd></div>
			<div><dt>Nodes there</dt><dd>${plan.nodes.join(', ') || 'none that is ready'}</dd></div>
			<div><dt>Needs</dt><dd class="number">${plan.needs.cpu} millicores, ${bytes(plan.needs.memory)}</dd></div>
			<div><dt>Free</dt><dd class="number">${plan.free.cpu} millicores, ${bytes(plan.free.memory)}</dd></div>
		</dl>`}
		${plan && plan.from === plan.to && html`<p class="muted">It runs there already.</p>`}
		${plan && !plan.fits && html`<${Problem} message=${`It does not fit: ${plan.reason}`} />`}
		${plan?.fits && plan.from !== plan.to && html`<ol>${plan.expected.map((line) => html`<li key=${line}>${line}</li>`)}</ol><p class="muted">${plan.volumes ? `Nothing answers for about ${plan.pauseSeconds} s while its volumes are switched.` : "No request is lost; when the new instances don't get ready, the old ones stay."}</p>`}
	</${FormDialog}>`;
}
