import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { BuildLog } from '../components/build-log.js';
import { Cli } from '../components/cli.js';
import { Icon } from '../components/icon.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { took } from '../format.js';
import { html } from '../html.js';
import { approveRun, getRun, getRuns, getTests, rerunFailed, waits } from '../pipeline-api.js';
import { appLink } from '../router.js';
import { putBuild, useStore } from '../store.js';
import { useTitle } from '../title.js';

const period = 2_000;
const history = 10;

/** @param {string} status */
const lively = (status) => (status === 'running' ? 'updating' : status);
/** @param {{status: string}} run */
const over = (run) => ['succeeded', 'failed', 'cancelled'].includes(run.status);

/** Where GitHub shows what changed. @param {hks.PipelineRun} run */
function difference(run) {
	const url = run.commit.url || '';
	return run.before && /\/commit\/[0-9a-f]+$/.test(url) ? url.replace(/\/commit\/[0-9a-f]+$/, `/compare/${run.before}...${run.commit.sha}`) : url;
}

/** One run: its steps, tests and log, and the runs before it. @param {{name: string}} props the run's number */
export function RunView({ name }) {
	const id = Number(name);
	const [run, setRun] = useState(/** @type {hks.PipelineRun | null} */ (null));
	const [runs, setRuns] = useState(/** @type {hks.PipelineRun[]} */ ([]));
	const [tests, setTests] = useState(/** @type {hks.TestCase[]} */ ([]));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const build = useStore((state) => state.builds?.find((one) => one.id === run?.build));
	const now = useStore((state) => state.now);
	const pipeline = run?.pipeline;
	const open = !run || !over(run);
	useTitle(`Run ${id}`);
	const look = () => getRun(id).then((found) => {
		setRun(found);
		setError(null);
	}, (cause) => cause instanceof ApiError && setError(cause));
	useEffect(() => {
		void look();
		if (!open) return;
		const timer = setInterval(() => document.hidden || look(), period);
		return () => clearInterval(timer);
	}, [id, open]);
	useEffect(() => {
		if (run?.build) void api.build(run.build).then(putBuild, () => {}); // kept for a time only
	}, [run?.build, run?.status]);
	useEffect(() => {
		if (!pipeline) return;
		void getRuns(pipeline).then((found) => setRuns(found || []), () => {});
		void getTests(id).then((found) => setTests(found || []), () => {});
	}, [id, pipeline, run?.status]);
	if (!run) return html`<header class="page-head"><h1>Run ${id}</h1></header>${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${look} />`}`;
	const act = async (/** @type {(id: number) => Promise<hks.PipelineRun>} */ change) => {
		try {
			const made = await change(id);
			if (made.id !== id) return location.assign(`/runs/${made.id}`);
			await look();
		} catch (cause) {
			tell(cause);
		}
	};
	const changes = difference(run);
	return html`<p><a class="back" href="/pipelines"><${Icon} name="back" />Pipelines</a></p>
		<header class="app-head">
			<div class="app-title"><h1>Run ${id}</h1><span class="tag">${run.branch}</span><${Status} status=${lively(run.status)} label=${waits(run) ? 'waits for approval' : run.status} />
				${run.slow && html`<span class="tag">slow</span>`}${run.pull && html`<span class="tag">pull request ${run.pull.number}${run.pull.fork ? ' of a fork' : ''}</span>`}</div>
			<p class="app-facts muted underlined">
				<span>of <a href=${appLink({ name: run.app || run.pipeline, environment: 'staging' })}>${run.app || run.pipeline}</a>, ${run.trigger} by ${run.by}, <${Time} at=${run.createdAt} never="–" /></span>
				<span><code>${run.commit.sha.slice(0, 7)}</code> ${run.commit.message || ''} ${run.commit.author || ''}</span>
				${changes && html`<span><a href=${changes} target="_blank" rel="noreferrer">what changed</a></span>`}
				${(run.of || 0) > 0 && html`<span>again of <a href=${`/runs/${run.of}`}>run ${run.of}</a></span>`}
				${(run.release || 0) > 0 && html`<span>release #${run.release}</span>`}
			</p>
			<div class="actions">
				${waits(run) && html`<button type="button" class="button primary" onClick=${() => act(approveRun)}>Approve</button>`}
				${over(run) ? html`<button type="button" class="button" onClick=${() => act(api.rerunPipeline)}>Run again</button>` : html`<button type="button" class="button" onClick=${() => act(api.cancelPipelineRun)}>Cancel</button>`}
				${run.status === 'failed' && html`<button type="button" class="button" onClick=${() => act(rerunFailed)}>Again from the failed step</button>`}
			</div>
		</header>
		${waits(run) && html`<p class="card-note">It comes of a fork: look at what it changes first. It is built without your secrets, in a cache of its own, and deployed nowhere.</p>`}
		${run.failure && html`<${Problem} message=${run.failure.message} fix=${run.failure.fix} code=${run.failure.code} />`}
		${run.note && html`<p class="muted">${run.note}</p>`}
		<section class="card" aria-labelledby="steps-title"><header class="card-head"><h2 id="steps-title">Steps</h2></header>
			<ol class="graph padded" aria-label=${`Steps of run ${id}`}>${run.steps.map((step) => html`<li key=${step.name}><${Status} status=${lively(step.status)} label=${step.name} /> <span class="muted number">${step.startedAt ? took(step, now) : ''}</span></li>`)}</ol>
		</section>
		<${Tests} tests=${tests} run=${run} />
		${build ? html`<${BuildLog} build=${build} />` : html`<section class="card"><p class="card-note muted">${run.build ? 'Its log is no longer kept.' : 'Its build has not begun.'}</p><${Cli} command=${`hks pipeline logs ${id} -f`} /></section>`}
		<section class="card" aria-labelledby="history-title"><header class="card-head"><h2 id="history-title">Runs of ${run.pipeline}</h2></header>
			<ol class="runs" aria-label="History">${runs.slice(0, history).map((one) => html`<li key=${one.id}><p><${Status} status=${lively(one.status)} label=${one.status} /> <a href=${`/runs/${one.id}`} aria-current=${one.id === id ? 'page' : undefined}>#${one.id}</a>
				<code>${one.commit.sha.slice(0, 7)}</code> ${one.commit.message || ''} <span class="muted">${took(one, now)} · <${Time} at=${one.createdAt} never="–" /></span></p></li>`)}</ol>
		</section>`;
}

const order = { failed: 0, passed: 1, skipped: 2 };

/** @param {{tests: hks.TestCase[], run: hks.PipelineRun}} props */
function Tests({ tests, run }) {
	const [word, setWord] = useState('');
	if (tests.length === 0) return null;
	const shown = tests.filter((one) => `${one.suite} ${one.name}`.toLowerCase().includes(word.toLowerCase())).sort((a, b) => order[a.outcome] - order[b.outcome]);
	const counts = run.tests;
	return html`<section class="card" aria-labelledby="tests-title">
		<header class="card-head"><h2 id="tests-title">Tests</h2>
			<span class="muted">${counts && `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped${counts.flaky ? `, ${counts.flaky} flaky` : ''}`}</span><span class="spacer"></span>
			<label class="search small"><${Icon} name="search" /><span class="hidden">Filter tests</span><input type="search" placeholder="Filter" value=${word} onInput=${(/** @type {any} */ event) => setWord(event.target.value)} /></label></header>
		<table class="plain" role="table" aria-label="Tests">
			<thead role="rowgroup"><tr role="row">${['Test', 'Outcome', 'Seconds', 'Why'].map((head) => html`<th role="columnheader" scope="col">${head}</th>`)}</tr></thead>
			<tbody role="rowgroup">${shown.slice(0, 500).map((one, place) => html`<tr role="row" key=${place}>
				<td role="cell" class="cell-name breaks"><strong>${one.name}</strong> <span class="muted">${one.suite || ''}</span></td>
				<td role="cell" data-label="Outcome">${one.outcome}${one.flaky && html` <span class="tag" title=${one.flaky}>flaky</span>`}</td>
				<td role="cell" data-label="Seconds" class="number">${one.seconds.toFixed(2)}</td>
				<td role="cell" data-label="Why" class="cell-wide breaks">${one.message ? html`<pre>${one.message}</pre>` : one.flaky || ''}</td>
			</tr>`)}</tbody>
		</table>
	</section>`;
}
