import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { clock, duration } from '../format.js';
import { html } from '../html.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

const historyPeriod = 2_000;
const calendarPeriod = 10_000;
const shownTimes = 12;
const shownRuns = 12;
const askedJobs = 20;

/** Past runs and next times of all jobs, by day. @param {{jobs: hks.CronJob[]}} props */
export function CronCalendar({ jobs }) {
	const [runs, setRuns] = useState(/** @type {hks.CronRun[]} */ ([]));
	const names = jobs.slice(0, askedJobs).map((job) => job.name).join(' ');
	const ended = jobs.map((job) => `${job.last?.id}${job.last?.status}`).join(' ');
	useEffect(() => {
		const list = () => Promise.all(names.split(' ').map((name) => api.cronRuns(name))).then((found) => setRuns(found.flatMap((one) => one || [])), () => {}); // the next look tells
		void list();
		const timer = setInterval(() => document.hidden || list(), calendarPeriod);
		return () => clearInterval(timer);
	}, [names, ended]);
	const past = runs.sort((a, b) => b.slot.localeCompare(a.slot)).slice(0, shownRuns).reverse().map((run) => ({ at: run.slot, job: run.job, run: /** @type {hks.CronRun | null} */ (run) }));
	const next = jobs.flatMap((job) => job.next.map((at) => ({ at, job: job.name, run: /** @type {hks.CronRun | null} */ (null) }))).sort((a, b) => a.at.localeCompare(b.at)).slice(0, shownTimes);
	if (past.length + next.length === 0) return null;
	/** @type {Map<string, typeof next>} */
	const days = new Map();
	for (const time of [...past, ...next]) {
		const day = new Date(time.at).toLocaleDateString(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
		days.set(day, [...(days.get(day) || []), time]);
	}
	return html`<section class="card" aria-labelledby="calendar-title">
		<header class="card-head"><h2 id="calendar-title">Calendar</h2><span class="muted">what ran and what comes, in this browser's time</span></header>
		<div class="card-body"><dl class="facts">${[...days].map(([day, slots]) => html`<div key=${day}><dt>${day}</dt><dd>${slots.map((slot) => html`<span class="tag" key=${slot.run ? slot.run.id : slot.at + slot.job}><time dateTime=${slot.at}>${clock(slot.at)}</time> ${slot.job}${slot.run && html` <${Status} status=${slot.run.status === 'running' ? 'updating' : slot.run.status} label=${slot.run.status} />`}</span> `)}</dd></div>`)}</dl></div>
	</section>`;
}

/** The runs of a job, the newest first. @param {{job: hks.CronJob}} props */
export function CronHistory({ job }) {
	const [runs, setRuns] = useState(/** @type {hks.CronRun[] | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	useEffect(() => {
		const list = () => api.cronRuns(job.name).then((found) => { setRuns(found || []); setError(null); }, setError);
		void list();
		const timer = setInterval(() => document.hidden || list(), historyPeriod);
		return () => clearInterval(timer);
	}, [job.name]);
	if (error) return html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`;
	if (!runs) return html`<p class="muted" role="status">Loading…</p>`;
	if (runs.length === 0) return html`<p class="card-note muted">It has not run yet.</p>`;
	return html`<ol class="runs" aria-label=${`Runs of ${job.name}`}>${runs.map((run) => html`<${Run} key=${run.id} run=${run} />`)}</ol>`;
}

/** @param {{run: hks.CronRun}} props */
function Run({ run }) {
	const [output, setOutput] = useState(/** @type {string | null} */ (null));
	const over = ['succeeded', 'failed', 'cancelled'].includes(run.status);
	const show = async () => {
		if (output !== null) return setOutput(null);
		try {
			setOutput(await api.cronOutput(run.id));
		} catch (cause) {
			tell(cause);
		}
	};
	const cancel = () => api.cancelCronRun(run.id).catch(tell);
	return html`<li>
		<p><${Status} status=${run.status === 'running' ? 'updating' : run.status} label=${run.status} /> <strong>#${run.id}</strong>
			<span class="muted"> for <${Time} at=${run.slot} never="–" />${run.manual ? `, by ${run.by || 'hand'}` : ''}${over && run.startedAt && run.finishedAt ? `, took ${duration(Date.parse(run.finishedAt) - Date.parse(run.startedAt))}` : ''}${run.exitCode !== undefined ? `, exit code ${run.exitCode}` : ''}</span>
			<span class="spacer"></span>
			${over ? html`<button type="button" class="button small" aria-expanded=${output !== null} onClick=${show}>Output</button>` : html`<button type="button" class="button small" onClick=${cancel}>Cancel</button>`}
		</p>
		${run.message && html`<p class="muted">${run.message}</p>`}
		${output !== null && html`<pre class="terminal" aria-label=${`Output of run ${run.id}`} tabindex="0">${output || 'It printed nothing.'}</pre>`}
	</li>`;
}
