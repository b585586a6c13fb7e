import { useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api } from '../api.js';
import { approveRun, rerunFailed, waits } from '../pipeline-api.js';
import { html } from '../html.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

const runsAtFirst = 5;

/** @param {string} status */
const lively = (status) => (status === 'running' ? 'updating' : status);

/** The runs of a pipeline, the newest first, and what came by its webhook. @param {{pipeline: hks.Pipeline, runs: hks.PipelineRun[], onDone: () => unknown}} props */
export function PipelineRuns({ pipeline, runs, onDone }) {
	const [all, setAll] = useState(false);
	const [deliveries, setDeliveries] = useState(/** @type {hks.Delivery[] | null} */ (null));
	const ledger = async () => {
		if (deliveries) return setDeliveries(null);
		try {
			setDeliveries((await api.deliveries(pipeline.name)) || []);
		} catch (cause) {
			tell(cause);
		}
	};
	if (runs.length === 0) return html`<p class="card-note muted">It has not run yet.</p>`;
	return html`
		<ol class="runs" aria-label=${`Runs of ${pipeline.name}`}>${(all ? runs : runs.slice(0, runsAtFirst)).map((run, place) => html`<${PipelineRun} key=${run.id} run=${run} newest=${place === 0} onDone=${onDone} />`)}</ol>
		${!all && runs.length > runsAtFirst && html`<button type="button" class="button quiet wide" onClick=${() => setAll(true)}>Show all ${runs.length}</button>`}
		<button type="button" class="button quiet wide" aria-expanded=${Boolean(deliveries)} onClick=${ledger}>${deliveries ? 'Hide the webhooks' : 'What came by the webhook'}</button>
		${deliveries && (deliveries.length === 0 ? html`<p class="card-note muted">Nothing came yet.</p>` : html`<ul class="files" aria-label="Webhooks">${deliveries.map((one) => html`<li key=${one.id + one.at}>
			<span><span class="tag">${one.outcome}</span> ${one.event} <span class="muted">${one.why || ''}</span></span><${Time} at=${one.at} never="–" />
		</li>`)}</ul>`)}`;
}

/** @param {{run: hks.PipelineRun, newest: boolean, onDone: () => unknown}} props */
function PipelineRun({ run, newest, onDone }) {
	const over = ['succeeded', 'failed', 'cancelled'].includes(run.status);
	const act = async (/** @type {(id: number) => Promise<unknown>} */ change) => {
		try {
			await change(run.id);
			await onDone();
		} catch (cause) {
			tell(cause);
		}
	};
	return html`<li>
		<p><${Status} status=${lively(run.status)} label=${waits(run) ? 'waits for approval' : run.status} /> <a href=${`/runs/${run.id}`}><strong>#${run.id}</strong></a> <code>${run.commit.sha.slice(0, 7)}</code> ${run.commit.message || ''}
			<span class="muted"> ${run.commit.author || ''} · ${run.trigger} · <${Time} at=${run.createdAt} never="–" /></span>
			<span class="spacer"></span>
			${run.pull && html`<span class="tag">pull request ${run.pull.number}${run.pull.fork ? ' of a fork' : ''}</span>`}
			${waits(run) && html`<button type="button" class="button small primary" onClick=${() => act(approveRun)}>Approve</button>`}
			${run.status === 'failed' && (run.release || 0) > 0 && html`<button type="button" class="button small" onClick=${() => act(rerunFailed)}>Again from the failed step</button>`}
			${run.build > 0 && html`<a class="button small" href=${`/builds/${run.build}`}>Log</a>`}
			${over ? html`<button type="button" class="button small" onClick=${() => act(api.rerunPipeline)}>Run again</button>` : html`<button type="button" class="button small" onClick=${() => act(api.cancelPipelineRun)}>Cancel</button>`}
		</p>
		<ol class="graph" aria-label=${`Steps of run ${run.id}`}>${run.steps.map((step) => html`<li key=${step.name}><${Status} status=${lively(step.status)} label=${step.name} /></li>`)}</ol>
		${run.failure && newest && html`<${Problem} message=${run.failure.message} fix=${run.failure.fix} code=${run.failure.code} />`}
		${run.note && html`<p class="muted">${run.note}</p>`}
	</li>`;
}
