import { sentence } from '../format.js';
import { html } from '../html.js';
import { Icon } from './icon.js';
import { Meter } from './meter.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { retryWorkspace } from '../workspace.js';

/** The workspace and what is left of its quota. @param {{workspace: hks.Workspace}} props */
export function WorkspaceCard({ workspace }) {
	const busy = workspace.status === 'creating' || workspace.status === 'renaming';
	return html`<section class="card" aria-labelledby="workspace-title">
		<header class="card-head">
			<h2 id="workspace-title">${workspace.name}</h2>
			<${Status} status=${workspace.status} />
			<span class="tag" title="The plan sets the quota">${workspace.plan.name} plan</span>
			${workspace.podSecurity && html`<span class="tag wide-only" title="Pod Security level enforced on every pod">pod security: ${workspace.podSecurity}</span>`}
			<span class="spacer"></span>
			${workspace.status === 'ready' && html`<a class="button small" href="/api/workspace/kubeconfig" download=${`${workspace.name}.kubeconfig.yaml`}><${Icon} name="download" />kubeconfig</a>`}
		</header>
		${busy && html`<p class="card-note"><span class="pulse"></span>${sentence(workspace.step || 'being made')}…</p>`}
		${workspace.status === 'failed' && html`<${Problem} message=${workspace.reason || 'It could not be made.'} fix=${workspace.fix} retry=${() => retryWorkspace(workspace.name)} />`}
		${workspace.resources?.length > 0 && html`<div class="meters">${workspace.resources.map((resource) => html`<${Meter} key=${resource.name} resource=${resource} />`)}</div>`}
	</section>`;
}
