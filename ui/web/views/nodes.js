import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { Cli } from '../components/cli.js';
import { Fix } from '../components/fix.js';
import { KeptFigures } from '../components/kept-figures.js';
import { AddNodeDialog, RemoveNodeDialog } from '../components/node-dialogs.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { bytes, count } from '../format.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { closeDialog, openDialog, useStore } from '../store.js';
import { useTitle } from '../title.js';

const period = 3_000;

/** The machines of the cluster: the shared pool and dedicated nodes. */
export function NodesView() {
	const [nodes, setNodes] = useState(/** @type {hks.Node[] | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const dialog = useStore((state) => state.dialog);
	useTitle('Nodes');
	const list = () => api.nodes().then((found) => { setNodes(found || []); setError(null); }, setError);
	useEffect(() => {
		void list();
		const timer = setInterval(() => document.hidden || list(), period);
		return () => clearInterval(timer);
	}, []);
	const dedicated = (nodes || []).filter((node) => !node.own);
	return html`
		<header class="page-head">
			<div><h1>Nodes</h1><p class="muted">The appliance's own machine is the shared pool. A dedicated node is a machine of its own: only what is moved there runs on it.</p></div>
			<button type="button" class="button primary" onClick=${() => openDialog({ kind: 'node-add' })}>Add Dedicated Node</button>
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${nodes ? undefined : list} />`}
		${(nodes || []).map((node) => html`<${NodeCard} key=${node.name} node=${node} onDone=${list} />`)}
		${nodes && dedicated.length === 0 && html`<section class="card"><p class="card-note muted">There is no dedicated node yet. Production can move to one without losing a request.</p><${Cli} command="hks node add prod-1" /></section>`}
		${dialog?.kind === 'node-add' && html`<${AddNodeDialog} onDone=${list} onClose=${closeDialog} />`}
		${dialog?.kind === 'node-remove' && html`<${RemoveNodeDialog} node=${dialog.node} onDone=${list} />`}`;
}

/** @param {{node: hks.Node, onDone: () => unknown}} props */
function NodeCard({ node, onDone }) {
	const act = async (/** @type {(name: string) => Promise<unknown>} */ change) => {
		try {
			await change(node.name);
			await onDone();
		} catch (cause) {
			tell(cause);
		}
	};
	return html`<section class="card" aria-label=${`Node ${node.name}`}>
		<header class="card-head">
			<h2>${node.name}</h2>
			<${Status} status=${node.status} />
			<span class="tag">${node.own ? 'shared pool, this appliance' : node.pool}</span>
			${node.address && html`<span class="muted mono wide-only">${node.address}</span>`}
			<span class="spacer"></span>
			${!node.own && node.status === 'ready' && html`<button type="button" class="button small" onClick=${() => act(api.drainNode)}>Drain</button>`}
			${!node.own && node.status === 'draining' && html`<button type="button" class="button small" onClick=${() => act(api.resumeNode)}>Take workloads again</button>`}
			${!node.own && node.status !== 'removing' && html`<button type="button" class="button small" onClick=${() => openDialog({ kind: 'node-remove', node })}>Remove</button>`}
		</header>
		${node.message && html`<p class="card-note">${node.message}</p>`}
		${node.fix && html`<${Fix} text=${node.fix} />`}
		${node.cpu.allocatable > 0 && html`<div class="card-body"><dl class="facts">
			<div><dt>CPU promised</dt><dd class="number">${(node.cpu.requested / 1000).toFixed(1)} of ${(node.cpu.allocatable / 1000).toFixed(1)} cores</dd></div>
			<div><dt>Memory promised</dt><dd class="number">${bytes(node.memory.requested)} of ${bytes(node.memory.allocatable)}</dd></div>
			${node.version && html`<div><dt>Version</dt><dd>${node.version}${node.skewed ? ', differs from the appliance\'s' : ''}</dd></div>`}
			<div><dt>Heard of</dt><dd><${Time} at=${node.lastHeard} never="never" /></dd></div>
		</dl></div>`}
		<${KeptFigures} kind="node" name=${node.name} none="No figures of the last day." />
		${node.pods.length > 0 && html`<p class="card-note muted">${count(node.pods.length, 'instance')} of the workspace</p>
			<ul class="files" aria-label=${`What runs on ${node.name}`}>${node.pods.map((pod) => html`<li key=${pod.name}>
				${pod.app ? html`<a href=${appLink({ name: pod.app, environment: String(pod.environment) })}>${pod.app}/${pod.environment}</a> ` : ''}<span class="muted mono">${pod.name}</span>${pod.ready ? '' : ' (not ready)'}
			</li>`)}</ul>`}
	</section>`;
}
