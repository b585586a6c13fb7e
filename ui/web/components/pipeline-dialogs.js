import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { html } from '../html.js';
import { startApp } from '../pipeline-api.js';
import { toast } from '../store.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';

/** @param {{github: hks.GitHub | null, onDone: () => unknown, onClose: () => void}} props */
export function ConnectDialog({ github, onDone, onClose }) {
	const [token, setToken] = useState('');
	const [url, setURL] = useState(github?.url && !github.url.includes('api.github.com') ? github.url : '');
	const [hookURL, setHookURL] = useState(github?.hookUrl || '');
	const run = async () => {
		const made = await api.connectGitHub({ token, url: url || undefined, hookUrl: hookURL || undefined });
		toast({ kind: 'success', message: `Connected to GitHub as ${made.login}.` });
		await onDone();
	};
	return html`<${FormDialog} title="Connect GitHub" action="Connect" command=${`hks github connect${hookURL ? ` --hook-url ${hookURL}` : ''} < token`} ready=${Boolean(token)} run=${run} onClose=${onClose}>
		<${Field} label="Token" type="password" value=${token} onValue=${setToken} hint="A fine-grained token: contents read, commit statuses and webhooks read and write. It is kept sealed and never shown." />
		<${Field} label="Address for webhooks" value=${hookURL} onValue=${setHookURL} optional hint="Where GitHub reaches this appliance, https://HOST:8443. Without one, branches are looked at every 30 s." />
		<${Field} label="API of a GitHub Enterprise Server" value=${url} onValue=${setURL} optional />
	</${FormDialog}>`;
}

/** Makes a GitHub App: the browser goes to GitHub and comes back. @param {{github: hks.GitHub | null, onClose: () => void}} props */
export function AppDialog({ github, onClose }) {
	const [organization, setOrganization] = useState('');
	const [hookURL, setHookURL] = useState(github?.hookUrl || '');
	const run = async () => {
		const form = await startApp({ origin: location.origin, organization: organization || undefined, hookUrl: hookURL || undefined, url: github?.url && !github.url.includes('api.github.com') ? github.url : undefined });
		location.assign(new URL(form.page).pathname + new URL(form.page).search);
	};
	return html`<${FormDialog} title="Make a GitHub App" action="Go on" command=${`hks github app --origin ${location.origin}`} run=${run} onClose=${onClose}>
		<p>An App is let into the repositories that you choose, gets tokens of one hour, and needs no account's token. GitHub makes it and sends you back here; then you install it.</p>
		<${Field} label="Organization" value=${organization} onValue=${setOrganization} optional hint="Whose the App is to be; empty: your own." />
		<${Field} label="Address for webhooks" value=${hookURL} onValue=${setHookURL} optional hint="Where GitHub reaches this appliance, https://HOST:8443." />
	</${FormDialog}>`;
}

/** @param {{onDone: () => unknown, onClose: () => void}} props */
export function PipelineDialog({ onDone, onClose }) {
	const [repositories, setRepositories] = useState(/** @type {hks.GitRepository[] | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [form, setForm] = useState({ repository: '', name: '', branch: '', folder: '', remote: '' });
	const set = (/** @type {string} */ key) => (/** @type {string} */ value) => setForm((now) => ({ ...now, [key]: value }));
	useEffect(() => void api.repositories().then((found) => setRepositories(found || []), setError), []);
	const pick = (/** @type {string} */ name) => {
		const found = repositories?.find((one) => one.name === name);
		setForm((now) => ({ ...now, repository: name, name: now.name || name.split('/')[1]?.toLowerCase().replace(/[^a-z0-9-]/g, '-') || '', branch: found?.branch || now.branch }));
	};
	const run = async () => {
		await api.createPipeline({ name: form.name, repository: form.remote ? '' : form.repository, remote: form.remote || undefined, branch: form.branch || undefined, folder: form.folder || undefined });
		toast({ kind: 'success', message: `${form.name} is built at every push to ${form.remote || form.repository}; the first run begins.` });
		await onDone();
	};
	return html`<${FormDialog} title="New pipeline" action="Create" command=${`hks pipeline create ${form.name || 'APP'} ${form.remote || form.repository || 'OWNER/REPOSITORY'}${form.branch ? ` --branch ${form.branch}` : ''}`} ready=${Boolean(form.name && (form.repository || form.remote))} run=${run} onClose=${onClose}>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
		${repositories
			? html`<div class="field"><label for="pipeline-repository">Repository</label><select id="pipeline-repository" value=${form.repository} onChange=${(/** @type {any} */ event) => pick(event.target.value)}>
				<option value="">Choose one</option>${repositories.map((one) => html`<option key=${one.name} value=${one.name}>${one.name}${one.private ? ' (private)' : ''}</option>`)}</select></div>`
			: html`<p class="muted" role="status">Asking GitHub for the repositories…</p>`}
		<${Field} label="Or the address of a git repository" value=${form.remote} onValue=${set('remote')} optional hint="https://HOST/PATH or git@HOST:PATH. By SSH a deploy key is made and shown, to be added there." />
		<${Field} label="App" value=${form.name} onValue=${set('name')} hint="The app that staging gets; it need not be there yet." />
		<${Field} label="Branch" value=${form.branch} onValue=${set('branch')} optional />
		<${Field} label="Folder" value=${form.folder} onValue=${set('folder')} optional hint="Of the project within the repository. What is built is in its hks.yaml, or found out." />
	</${FormDialog}>`;
}

/** @param {{pipeline: hks.Pipeline, onDone: () => unknown, onClose: () => void}} props */
export function DeletePipelineDialog({ pipeline, onDone, onClose }) {
	const [typed, setTyped] = useState('');
	const run = async () => {
		await api.deletePipeline(pipeline.name);
		toast({ kind: 'success', message: `The pipeline of ${pipeline.name} is deleted; the app stays.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Delete the pipeline of ${pipeline.name}?`} action="Delete" command=${`hks pipeline delete ${pipeline.name}`} ready=${typed === pipeline.name} danger run=${run} onClose=${onClose}>
		<p>Pushes start nothing any more, and its webhook is removed at GitHub. The app and the history of its runs stay.</p>
		<${Field} label=${`Type ${pipeline.name} to confirm`} value=${typed} onValue=${setTyped} />
	</${FormDialog}>`;
}
