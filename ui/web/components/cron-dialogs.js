import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { absolute } from '../format.js';
import { html } from '../html.js';
import { toast, useStore } from '../store.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { Field } from './field.js';
import { Problem } from './problem.js';

const second = 1e9; // durations are in nanoseconds

/** @param {hks.CronJob | undefined} job */
const draft = (job) => ({
	name: job?.name || '', schedule: job?.schedule || '0 9 * * *', timeZone: job?.timeZone || Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
	kind: job?.target.function ? 'function' : job?.target.image ? 'image' : 'app', subject: job?.target.function || job?.target.image || (job?.target.app ? `${job.target.app}/${job.target.environment}` : ''),
	command: (job?.target.command || []).join(' '), payload: job?.target.payload || '', concurrency: job?.concurrency || 'forbid', catchUp: job?.catchUp || 'one',
	minutes: String((job?.timeout || 600 * second) / (60 * second)),
});

/** @param {ReturnType<typeof draft>} form @returns {Partial<hks.CronJob>} */
function jobOf(form) {
	const command = form.command.trim() ? form.command.trim().split(/\s+/) : undefined;
	const [app, environment] = form.subject.split('/');
	const target = form.kind === 'function' ? { function: form.subject, payload: form.payload || undefined } : form.kind === 'image' ? { image: form.subject, command } : { app, environment: environment || 'staging', command };
	return { name: form.name, schedule: form.schedule, timeZone: form.timeZone, target, concurrency: form.concurrency, catchUp: form.catchUp, timeout: Math.round(Number(form.minutes) * 60 * second) };
}

/** @param {ReturnType<typeof draft>} form @param {boolean} fresh */
const twin = (form, fresh) => `hks cron ${fresh ? 'create' : 'edit'} ${form.name || 'JOB'} --schedule '${form.schedule}' --tz ${form.timeZone} --${form.kind} ${form.subject || '…'}${form.command && form.kind !== 'function' ? ` -- ${form.command}` : ''}`;

/** Makes a cron job, or changes one. @param {{job?: hks.CronJob, onDone: () => unknown, onClose: () => void}} props */
export function CronForm({ job, onDone, onClose }) {
	const apps = useStore((state) => state.apps);
	const [form, setForm] = useState(draft(job));
	const [next, setNext] = useState(/** @type {string[]} */ ([]));
	const [wrong, setWrong] = useState(/** @type {ApiError | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [busy, setBusy] = useState(false);
	const set = (/** @type {string} */ key) => (/** @type {string} */ value) => setForm((now) => ({ ...now, [key]: value }));
	useEffect(() => {
		let current = true;
		const timer = setTimeout(() => api.previewCron(form.schedule, form.timeZone).then((times) => {
			if (!current) return;
			setNext(times);
			setWrong(null);
		}, (cause) => {
			if (!(cause instanceof ApiError)) throw cause;
			if (current) setWrong(cause);
		}), 200);
		return () => {
			current = false;
			clearTimeout(timer);
		};
	}, [form.schedule, form.timeZone]);
	const save = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			const wanted = jobOf(form);
			await (job ? api.editCronJob(job.name, { ...job, ...wanted }) : api.createCronJob(wanted));
			toast({ kind: 'success', message: `${form.name} is ${job ? 'changed' : 'there'}.` });
			await onDone();
			onClose();
		} catch (cause) {
			setBusy(false);
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	const choose = (/** @type {string} */ key, /** @type {string} */ label, /** @type {string[][]} */ options) => html`<div class="field"><label for=${`cron-${key}`}>${label}</label>
		<select id=${`cron-${key}`} value=${/** @type {any} */ (form)[key]} onChange=${(/** @type {any} */ event) => set(key)(event.target.value)}>${options.map(([value, words]) => html`<option key=${value} value=${value}>${words}</option>`)}</select></div>`;
	return html`<${Dialog} title=${job ? `Edit ${job.name}` : 'New cron job'} onClose=${onClose} size="wide">
		<form onSubmit=${save} noValidate>
			${!job && html`<${Field} label="Name" value=${form.name} onValue=${set('name')} hint="Lower-case letters, digits and dashes." />`}
			<${Field} label="Schedule" value=${form.schedule} onValue=${set('schedule')} problem=${wrong && wrong.details.field !== 'timeZone' ? `${wrong.message}: ${wrong.fix}` : undefined} hint="Minute, hour, day of month, month, day of week." input=${{ class: 'mono' }} />
			<${Field} label="Time zone" value=${form.timeZone} onValue=${set('timeZone')} problem=${wrong?.details.field === 'timeZone' ? wrong.message : undefined} />
			${!wrong && html`<p class="muted" aria-live="polite">Next: ${next.map((at) => absolute(at)).join(' · ')}</p>`}
			${choose('kind', 'What runs', [['app', 'a command of an app'], ['image', 'an image'], ['function', 'a function']])}
			<${Field} label=${form.kind === 'app' ? 'App' : form.kind === 'image' ? 'Image' : 'Function'} value=${form.subject} onValue=${set('subject')}
				hint=${form.kind === 'app' ? `With its image and environment, such as ${Object.values(apps || {})[0] ? `${Object.values(apps || {})[0].name}/${Object.values(apps || {})[0].environment}` : 'web/production'}.` : undefined} />
			${form.kind === 'function'
				? html`<${Field} label="Payload" value=${form.payload} onValue=${set('payload')} optional hint="JSON." />`
				: html`<${Field} label="Command" value=${form.command} onValue=${set('command')} optional hint="Words are split at spaces; no shell reads them." input=${{ class: 'mono' }} />`}
			${choose('concurrency', 'When the run before is still going', [['forbid', 'leave the new one out'], ['allow', 'run both'], ['replace', 'stop the old one'], ['queue', 'wait']])}
			${choose('catchUp', 'Runs missed while the appliance was away', [['one', 'make up for the latest'], ['none', 'leave them out'], ['all', 'make up for all']])}
			<${Field} label="Stop a run after" value=${form.minutes} onValue=${set('minutes')} hint="Minutes." type="number" input=${{ min: 0.1, step: 'any' }} />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${twin(form, !job)} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button primary" disabled=${busy || Boolean(wrong) || !form.name || !form.subject}>${busy ? 'One moment…' : job ? 'Save' : 'Create'}</button>
			</footer>
		</form>
	</${Dialog}>`;
}

/** @param {{job: hks.CronJob, onDone: () => unknown, onClose: () => void}} props */
export function DeleteCronDialog({ job, onDone, onClose }) {
	const [typed, setTyped] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const remove = async (/** @type {Event} */ event) => {
		event.preventDefault();
		try {
			await api.deleteCronJob(job.name);
			toast({ kind: 'success', message: `${job.name} is deleted.` });
			await onDone();
			onClose();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	return html`<${Dialog} title=${`Delete ${job.name}?`} onClose=${onClose}>
		<form onSubmit=${remove} noValidate>
			<p>It runs no more, what runs of it now is stopped, and its history goes too.</p>
			<${Field} label=${`Type ${job.name} to confirm`} value=${typed} onValue=${setTyped} />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${`hks cron delete ${job.name}`} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button destroy" disabled=${typed !== job.name}>Delete</button>
			</footer>
		</form>
	</${Dialog}>`;
}
