import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';
import { Status } from './status.js';

const joinPeriod = 1_000;

/** A name, then the line for the other machine, then its steps as they come. @param {{onDone: () => unknown, onClose: () => void}} props */
export function AddNodeDialog({ onDone, onClose }) {
	const [name, setName] = useState('');
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [invited, setInvited] = useState(/** @type {hks.Node | null} */ (null));
	const invite = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			setInvited(await api.inviteNode(name));
			await onDone();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
		setBusy(false);
	};
	if (invited?.invite) return html`<${JoinDialog} invited=${invited} onDone=${onDone} onClose=${onClose} />`;
	return html`<${Dialog} title="Add Dedicated Node" onClose=${onClose}>
		<form onSubmit=${invite} noValidate>
			<${Field} label="Name" value=${name} onValue=${setName} hint="Lower-case letters, digits and dashes, such as prod-1." input=${{ autofocus: true }} />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${`hks node add ${name || 'NAME'}`} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button primary" disabled=${busy || !name}>${busy ? 'One moment…' : 'Make an invitation'}</button>
			</footer>
		</form>
	</${Dialog}>`;
}

/** @param {{invited: hks.Node, onDone: () => unknown, onClose: () => void}} props */
function JoinDialog({ invited, onDone, onClose }) {
	const [node, setNode] = useState(invited);
	const over = node.status === 'ready' || node.status === 'failed';
	useEffect(() => {
		if (over) return void onDone();
		const timer = setInterval(() => api.node(invited.name).then(setNode, () => {}), joinPeriod); // the next look tells
		return () => clearInterval(timer);
	}, [over]);
	return html`<${Dialog} title=${`${node.name} joins`} onClose=${onClose} size="wide">
		<p>Run this on the other machine, as root. It is good for one machine and ten minutes, and needs no internet.</p>
		<${Cli} command=${invited.invite?.command || ''} label="The line for the other machine" />
		<p class="muted" role="status"><${Status} status=${node.status} /> ${node.message || ''}</p>
		<ol class="join-steps" aria-label="Steps of the join">${(node.steps || []).map((step) => html`<li key=${step.name}><${Status} status=${step.state === 'done' ? 'succeeded' : step.state === 'running' ? 'starting' : step.state} label=${step.state} /> ${step.name} <span class="muted">${step.message || ''}</span></li>`)}</ol>
		${node.status === 'failed' && html`<${Problem} message=${node.message || 'It did not join.'} fix=${node.fix} />`}
		${node.status === 'ready' && html`<p><strong>${node.name} is ready.</strong> Move an app to it from the app's page.</p>`}
		<footer class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${over ? 'Close' : 'Close; it goes on'}</button></footer>
	</${Dialog}>`;
}

/** @param {{node: hks.Node, onDone: () => unknown}} props */
export function RemoveNodeDialog({ node, onDone }) {
	const [typed, setTyped] = useState('');
	const run = async () => {
		await api.removeNode(node.name);
		toast({ kind: 'info', message: `${node.name} is being removed; its apps move back to the shared pool first.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Remove ${node.name}?`} action="Remove" command=${`hks node remove ${node.name}`} run=${run} danger ready=${typed === node.name}>
		<p>Its apps move back to the shared pool, then it leaves the cluster. On the machine itself <code>hks-installer purge</code> removes what was installed.</p>
		<${Field} label=${`Type ${node.name} to confirm`} value=${typed} onValue=${setTyped} />
	</${FormDialog}>`;
}
