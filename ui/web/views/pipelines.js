import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { Cli } from '../components/cli.js';
import { AppDialog, ConnectDialog, DeletePipelineDialog, PipelineDialog } from '../components/pipeline-dialogs.js';
import { PipelineSettingsDialog, PipelineVariablesDialog } from '../components/pipeline-settings.js';
import { PipelineRuns } from '../components/pipeline-runs.js';
import { Problem } from '../components/problem.js';
import { html } from '../html.js';
import { checkApp, permissions } from '../pipeline-api.js';
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
	const [dialog, setDialog] = useState(/** @type {{kind: 'connect' | 'app' | 'create' | 'delete' | 'settings' | 'variables', pipeline?: hks.Pipeline} | null} */ (null));
	const [checked, setChecked] = useState(/** @type {{name: string, list: hks.GitPermission[]} | null} */ (null));
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
	const check = async (/** @type {hks.Pipeline} */ one) => {
		if (checked?.name === one.name) return setChecked(null);
		try {
			setChecked({ name: one.name, list: (await permissions(one.repository)) || [] });
		} catch (cause) {
			tell(cause);
		}
	};
	return html`
		<header class="page-head">
			<div><h1>Pipelines</h1><p class="muted">Every push to a branch is built, tested and deployed to staging. A test that fails leaves staging as it is.</p></div>
			${github && html`<button type="button" class="button primary" onClick=${() => setDialog({ kind: 'create' })}>New pipeline</button>`}
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${pipelines ? undefined : list} />`}
		${github && html`<section class="card" aria-labelledby="github-title">
			<header class="card-head">
				<h2 id="github-title">GitHub</h2>
				<span class="muted">${github.connected ? `connected as ${github.login}` : 'not connected'}</span>
				<span class="spacer"></span>
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'connect' })}>${github.connected ? 'Use another token' : 'Connect'}</button>
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'app' })}>Make a GitHub App</button>
				${github.connected && html`<button type="button" class="button small" onClick=${() => act(api.disconnectGitHub, 'GitHub is disconnected; pipelines wait.')}>Disconnect</button>`}
			</header>
			${github.app && !github.connected && html`<p class="card-note">The App <strong>${github.app.slug}</strong> was made. <a href=${github.app.installUrl} target="_blank" rel="noreferrer">Install it at GitHub</a>, then
				<button type="button" class="button small" onClick=${() => act(() => checkApp(''), 'Connected by the GitHub App.')}>look again</button></p>`}
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
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'settings', pipeline })}>Settings</button>
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'variables', pipeline })}>Variables</button>
				${!pipeline.remote && html`<button type="button" class="button small" aria-expanded=${checked?.name === pipeline.name} onClick=${() => check(pipeline)}>Permissions</button>`}
				<button type="button" class="button small" onClick=${() => setDialog({ kind: 'delete', pipeline })}>Delete</button>
			</header>
			${pipeline.deployKey && html`<p class="card-note">Deploy key, to be added to the repository to read: <code class="breaks">${pipeline.deployKey}</code> The server's key is <code>${pipeline.hostPrint}</code>; compare it.</p>`}
			${checked?.name === pipeline.name && html`<ul class="files" aria-label=${`Permissions for ${pipeline.name}`}>${checked.list.map((one) => html`<li key=${one.name}><span><span class="tag">${one.granted ? 'granted' : 'missing'}</span> ${one.name} <span class="muted">for ${one.for}</span></span><span class="muted">${one.why || ''}</span></li>`)}</ul>`}
			${pipeline.pollNote && html`<${Problem} message=${`Its branch can't be looked at: ${pipeline.pollNote}`} />`}
			${pipeline.hookNote && html`<p class="card-note muted">${pipeline.hookNote}</p>`}
			<${PipelineRuns} pipeline=${pipeline} runs=${runs.filter((run) => run.pipeline === pipeline.name)} onDone=${list} />
		</section>`)}
		${pipelines && pipelines.length === 0 && github?.connected && html`<section class="card"><p class="card-note muted">There is no pipeline yet.</p><${Cli} command="hks pipeline create shop octo/shop" /></section>`}
		${dialog?.kind === 'connect' && html`<${ConnectDialog} github=${github} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'app' && html`<${AppDialog} github=${github} onClose=${close} />`}
		${dialog?.kind === 'settings' && html`<${PipelineSettingsDialog} pipeline=${dialog.pipeline} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'variables' && html`<${PipelineVariablesDialog} pipeline=${dialog.pipeline} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'create' && html`<${PipelineDialog} onDone=${list} onClose=${close} />`}
		${dialog?.kind === 'delete' && html`<${DeletePipelineDialog} pipeline=${dialog.pipeline} onDone=${list} onClose=${close} />`}`;
}
