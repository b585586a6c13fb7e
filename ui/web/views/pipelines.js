import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { Cli } from '../components/cli.js';
import { ConnectDialog, DeletePipelineDialog, PipelineDialog } from '../components/pipeline-dialogs.js';
import { PipelineRuns } from '../components/pipeline-runs.js';
import { Problem } from '../components/problem.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { toast } from '../store.js';
import { useTitle } from '../title.js';

const pipelinePeriod = 2_000;

/** GitHub, and what becomes of each push. */
export function PipelinesView() {
	const [github, setGitHub] = useState(/** @type {hks.GitHub | null} */ (null));
	const [pipelines, setPipelines] = useState(/** @type {hks.Pipeline[] | null} */ (null));
	const [runs, setRuns] = useState(/** @type {hks.PipelineRun[]} */ ([]));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [dialog, setDialog] = useState(/** @type {{kind: 'connect' | 'create' | 'delete', pipeline?: hks.Pipeline} | null} */ (null));
	useTitle('Pipelines');
	const list = () => Promise.all([api.github(), api.pipelines(), api.pipelineRuns()]).then(([connection, found, history]) => {
		setGitHub(connection);
		setPipelines(found || []);
		setRuns(history || []);
		setError(null);
	}, setError);
	useEffect(() => {
		void list();
		const timer = setInterval(() => document.hidden || list(), pipelinePeriod);
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
	const close = () => setDialog(null);
	return html`
		<header class="page-head">
			<div><h1>Pipelines</h1><p class="muted">Every push to a branch is built, tested and deployed to staging. A test that fails leaves staging as it is.</p></div>
			${github?.connected && html`<button type="button" class="button primary" onClick=${() => setDialog({ kind: 'create' })}>New pipeline</button>`}
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${pipelines ? undefined : list} />`}
		${github && html`<section class="card" aria-labelledby="github-title">
			<header class="card-head">
				<h2 id="github-title">GitHub</h2>
				<span class="muted">${github.connected ? `connected as ${github.login}` : 'not connected'}</span>
				<span class="spacer"></span>
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'connect' })}>${github.connected ? 'Use another token' : 'Connect'}</button>
				${github.connected && html`<button type="button" class="button small" onClick=${() => act(api.disconnectGitHub, 'GitHub is disconnected; pipelines wait.')}>Disconnect</button>`}
			</header>
			<p class="card-note muted">${!github.connected ? 'A fine-grained token is enough: contents read, commit statuses and webhooks read and write.'
				: github.hookUrl ? html`Webhooks come to <code>${github.hookUrl}</code>; branches are looked at every 30 s as well.` : 'No address for webhooks was given: branches are looked at every 30 s.'}</p>
			${!github.connected && html`<${Cli} command="hks github connect" />`}
		</section>`}
		${(pipelines || []).map((pipeline) => html`<section class="card" key=${pipeline.name} aria-label=${`Pipeline ${pipeline.name}`}>
			<header class="card-head">
				<h2><a href=${appLink({ name: pipeline.name, environment: 'staging' })}>${pipeline.name}</a></h2>
				<span class="muted mono">${pipeline.repository}</span><span class="tag">${pipeline.branch}</span>
				<span class="spacer"></span>
				<button type="button" class="button small" onClick=${() => act(() => api.runPipeline(pipeline.name), `${pipeline.name} runs with the newest commit.`)}>Run now</button>
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'delete', pipeline })}>Delete</button>
			</header>
			${pipeline.pollNote && html`<${Problem} message=${`Its branch can't be looked at: ${pipeline.pollNote}`} />`}
			${pipeline.hookNote && html`<p class="card-note muted">${pipeline.hookNote}</p>`}
			<${PipelineRuns} pipeline=${pipeline} runs=${runs.filter((run) => run.pipeline === pipeline.name)} onDone=${list} />
		</section>`)}
		${pipelines && pipelines.length === 0 && github?.connected && html`<section class="card"><p class="card-note muted">There is no pipeline yet.</p><${Cli} command="hks pipeline create shop octo/shop" /></section>`}
		${dialog?.kind === 'connect' && html`<${ConnectDialog} github=${github} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'create' && html`<${PipelineDialog} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'delete' && html`<${DeletePipelineDialog} pipeline=${dialog.pipeline} onDone=${list} onClose=${close} />`}`;
}
