import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { Cli } from '../components/cli.js';
import { CronForm, DeleteCronDialog } from '../components/cron-dialogs.js';
import { CronCalendar, CronHistory } from '../components/cron-runs.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { useTitle } from '../title.js';

const cronPeriod = 3_000;

/** @param {hks.CronTarget} target */
export function cronTarget(target) {
	const command = (target.command || []).join(' ');
	if (target.function) return `function ${target.function}`;
	return `${target.app ? `${target.app}/${target.environment}` : target.image} ${command}`.trim();
}

/** The cron jobs, when they run, and how they ended. */
export function CronView() {
	const [jobs, setJobs] = useState(/** @type {hks.CronJob[] | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [form, setForm] = useState(/** @type {hks.CronJob | 'new' | null} */ (null));
	const [leaving, setLeaving] = useState(/** @type {hks.CronJob | null} */ (null));
	const [open, setOpen] = useState(/** @type {string | null} */ (null));
	useTitle('Cron jobs');
	const list = () => api.cronJobs().then((found) => { setJobs(found || []); setError(null); }, setError);
	useEffect(() => {
		void list();
		const timer = setInterval(() => document.hidden || list(), cronPeriod);
		return () => clearInterval(timer);
	}, []);
	const act = async (/** @type {() => Promise<unknown>} */ change, /** @type {string} */ said) => {
		try {
			await change();
			toast({ kind: 'success', message: said });
			await list();
		} catch (cause) {
			tell(cause);
		}
	};
	return html`
		<header class="page-head">
			<div><h1>Cron jobs</h1><p class="muted">Functions and commands at set times. Each due time is on record before anything runs.</p></div>
			<button type="button" class="button primary" onClick=${() => setForm('new')}>New cron job</button>
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${jobs ? undefined : list} />`}
		${jobs && jobs.length > 0 && html`<${CronCalendar} jobs=${jobs} />`}
		${(jobs || []).map((job) => html`<section class="card" key=${job.name} aria-label=${`Cron job ${job.name}`}>
			<header class="card-head">
				<h2>${job.name}</h2>
				${job.paused ? html`<${Status} status="stopped" label="paused" />` : job.last && html`<${Status} status=${job.last.status === 'running' ? 'updating' : job.last.status} label=${`last run ${job.last.status}`} />`}
				<code>${job.schedule}</code><span class="muted">${job.timeZone}</span>
				<span class="spacer"></span>
				<button type="button" class="button small" onClick=${() => act(() => api.runCronJob(job.name), `${job.name} runs now.`)}>Run now</button>
				<button type="button" class="button small" onClick=${() => (job.paused ? act(() => api.resumeCronJob(job.name), `${job.name} runs again.`) : act(() => api.pauseCronJob(job.name), `${job.name} is paused.`))}>${job.paused ? 'Resume' : 'Pause'}</button>
				<button type="button" class="button small" onClick=${() => setForm(job)}>Edit</button>
				<button type="button" class="button small" onClick=${() => setLeaving(job)}>Delete</button>
			</header>
			<dl class="facts">
				<div><dt>Runs</dt><dd class="mono">${cronTarget(job.target)}</dd></div>
				<div><dt>Next</dt><dd>${job.next[0] ? html`<${Time} at=${job.next[0]} never="–" />` : 'not while it is paused'}</dd></div>
				<div><dt>Last</dt><dd>${job.last ? html`<${Time} at=${job.last.slot} never="–" />` : 'never'}</dd></div>
			</dl>
			${job.last?.status === 'failed' && html`<${Problem} message=${job.last.message || 'The last run failed.'} fix=${`See what it printed with: hks cron logs ${job.last.id}`} />`}
			<button type="button" class="button quiet wide" aria-expanded=${open === job.name} onClick=${() => setOpen(open === job.name ? null : job.name)}>${open === job.name ? 'Hide the runs' : 'Show the runs'}</button>
			${open === job.name && html`<${CronHistory} job=${job} />`}
		</section>`)}
		${jobs && jobs.length === 0 && html`<section class="card"><p class="card-note muted">There is no cron job yet.</p><${Cli} command="hks cron create nightly --schedule '0 3 * * *' --app web -- ./clean" /></section>`}
		${form && html`<${CronForm} job=${form === 'new' ? undefined : form} onDone=${list} onClose=${() => setForm(null)} />`}
		${leaving && html`<${DeleteCronDialog} job=${leaving} onDone=${list} onClose=${() => setLeaving(null)} />`}`;
}
