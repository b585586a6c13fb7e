import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { bytes, count } from '../format.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { Meter } from './meter.js';
import { Problem } from './problem.js';
import { Status } from './status.js';

/** @param {number} n @param {string} what */
const limit = (n, what) => (n < 0 ? `${what} without limit` : n === 0 ? `no ${what}` : `${n} ${what}`);

/** What a plan brings, in words. @param {hks.Plan} plan */
const brings = (plan) => [
	limit(plan.functions, 'functions'), limit(plan.cronJobs, 'cron jobs'), `${bytes(plan.storageBytes)} of storage`, limit(plan.dedicatedNodes, 'dedicated nodes'),
	plan.backupDays > 0 ? `a daily backup, kept for ${count(plan.backupDays, 'day')}` : 'backups by hand',
];

/** The plan, what is used of it, and the way to the other. */
export function PlanCard() {
	const [state, setState] = useState(/** @type {hks.PlanState | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [other, setOther] = useState(/** @type {hks.Plan | null} */ (null));
	const load = () => api.plan().then((found) => { setState(found); setError(null); }, setError);
	useEffect(() => void load(), []);
	useEffect(() => {
		if (!state?.applying) return;
		const timer = setInterval(load, 1_000);
		return () => clearInterval(timer);
	}, [state?.applying]);
	if (!state) return error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${load} />`;
	return html`<section class="card" aria-labelledby="plan-title">
		<header class="card-head">
			<h2 id="plan-title">Plan ${state.plan.name}</h2>
			${state.applying && html`<${Status} status="updating" label="its limits are on their way" />`}
			<span class="spacer"></span>
			${state.plans.filter((plan) => plan.name !== state.plan.name).map((plan) => html`<button type="button" key=${plan.name} class="button small" onClick=${() => setOther(plan)}>Change to ${plan.name}</button>`)}
		</header>
		<div class="meters">${state.usage.map((usage) => html`<${Meter} key=${usage.name} resource=${{ ...usage, name: usage.name[0].toUpperCase() + usage.name.slice(1), limit: Math.max(usage.limit, 0) }} />`)}</div>
		${other && html`<${ChangePlanDialog} from=${state.plan.name} to=${other} onDone=${load} onClose=${() => setOther(null)} />`}
	</section>`;
}

/** @param {{from: string, to: hks.Plan, onDone: () => unknown, onClose: () => void}} props */
function ChangePlanDialog({ from, to, onDone, onClose }) {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const change = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setBusy(true);
		try {
			await api.changePlan(to.name);
			toast({ kind: 'success', message: `The plan is ${to.name}. Nothing that runs is interrupted.` });
			await onDone();
			onClose();
		} catch (cause) {
			setBusy(false);
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	return html`<${Dialog} title=${`Change the plan from ${from} to ${to.name}?`} onClose=${onClose}>
		<form onSubmit=${change} noValidate>
			<ul>${brings(to).map((line) => html`<li key=${line}>${line}</li>`)}</ul>
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${`hks plan ${to.name === 'hobby' ? 'downgrade' : 'upgrade'} ${to.name}`} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button primary" disabled=${busy}>${busy ? 'One moment…' : 'Change'}</button>
			</footer>
		</form>
	</${Dialog}>`;
}
