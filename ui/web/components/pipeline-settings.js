import { useState } from '../vendor/hooks.js';
import { html } from '../html.js';
import { editPipeline, setVariables } from '../pipeline-api.js';
import { toast } from '../store.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';

/** @param {{label: string, checked: boolean, onValue: (on: boolean) => void}} props */
const Check = ({ label, checked, onValue }) => html`<label class="check"><input type="checkbox" checked=${checked} onChange=${(/** @type {any} */ event) => onValue(event.target.checked)} /> ${label}</label>`;

/** The words of a command; quotes keep blanks together. @param {string} text */
const words = (text) => (text.match(/"[^"]*"|\S+/g) || []).map((word) => word.replace(/^"(.*)"$/, '$1'));

/** @param {{pipeline: hks.Pipeline, onDone: () => unknown, onClose: () => void}} props */
export function PipelineSettingsDialog({ pipeline, onDone, onClose }) {
	const [form, setForm] = useState({
		branch: pipeline.branch, folder: pipeline.folder || '', test: (pipeline.test || []).map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(' '), reports: pipeline.reports || '',
		paths: (pipeline.paths || []).join(' '), tags: pipeline.promoteTags || '', previews: String(pipeline.previews || 0), days: String(pipeline.previewDays || 7),
		skipTests: Boolean(pipeline.skipTests), pulls: Boolean(pipeline.pullRequests),
	});
	const set = (/** @type {string} */ key) => (/** @type {string | boolean} */ value) => setForm((now) => ({ ...now, [key]: value }));
	const run = async () => {
		await editPipeline({
			...pipeline, branch: form.branch, folder: form.folder || undefined, test: words(form.test), reports: form.reports || undefined, paths: words(form.paths),
			promoteTags: form.tags || undefined, skipTests: form.skipTests, pullRequests: form.pulls, previews: form.pulls ? Number(form.previews) || 0 : 0, previewDays: Number(form.days) || 0,
		});
		toast({ kind: 'success', message: `The settings of ${pipeline.name} are kept; the next run has them.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Settings of ${pipeline.name}`} action="Keep" command=${`hks pipeline edit ${pipeline.name} --branch ${form.branch}${form.folder ? ` --folder ${form.folder}` : ''}${form.pulls ? ' --pull-requests' : ''}`} run=${run} onClose=${onClose}>
		<${Field} label="Branch" value=${form.branch} onValue=${set('branch')} />
		<${Field} label="Folder" value=${form.folder} onValue=${set('folder')} optional />
		<${Field} label="Test command" value=${form.test} onValue=${set('test')} optional hint="Instead of the one that is found; no shell runs it." />
		<${Check} label="Deploy without running the tests" checked=${form.skipTests} onValue=${set('skipTests')} />
		<${Field} label="Folder of JUnit reports" value=${form.reports} onValue=${set('reports')} optional hint="What the tests leave there is shown test by test." />
		<${Field} label="Paths that start a run" value=${form.paths} onValue=${set('paths')} optional hint="Patterns as in a .dockerignore, with blanks between; a push that touches none of them starts nothing." />
		${!pipeline.remote && html`<${Check} label="Build and test pull requests; those of forks after approval" checked=${form.pulls} onValue=${set('pulls')} />`}
		${form.pulls && html`<${Field} label="Previews at a time" value=${form.previews} onValue=${set('previews')} type="number" hint="Pull requests of own branches that get an app of their own; it goes when they are closed." />
			<${Field} label="Days without a push" value=${form.days} onValue=${set('days')} type="number" hint="After which a preview is removed." />`}
		<${Field} label="Tags that promote" value=${form.tags} onValue=${set('tags')} optional hint="Such as v*: a new tag at what staging serves promotes it to production." />
	</${FormDialog}>`;
}

/** @param {{pipeline: hks.Pipeline, onDone: () => unknown, onClose: () => void}} props */
export function PipelineVariablesDialog({ pipeline, onDone, onClose }) {
	const [name, setName] = useState('');
	const [value, setValue] = useState('');
	const [secret, setSecret] = useState(true);
	const [gone, setGone] = useState(/** @type {string[]} */ ([]));
	const run = async () => {
		await setVariables(pipeline.name, { unset: gone, set: name && !secret ? { [name]: value } : {}, secrets: name && secret ? { [name]: value } : {} });
		toast({ kind: 'success', message: `The variables of ${pipeline.name} are kept; the next run has them.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Variables of ${pipeline.name}`} action="Keep" command=${secret ? `hks pipeline set ${pipeline.name} --secret ${name || 'NAME'} < file` : `hks pipeline set ${pipeline.name} ${name || 'NAME'}=${value}`} ready=${Boolean(name) || gone.length > 0} run=${run} onClose=${onClose}>
		<p class="muted">For tests and builds, not for the app itself. A secret is in no image, and masked in the log; forks get none of these.</p>
		<ul class="files" aria-label="Variables">${(pipeline.variables || []).map((one) => html`<li key=${one.name}><span><code>${one.name}</code> <span class="muted">${one.secret ? 'secret' : one.value}</span></span>
			<${Check} label="remove" checked=${gone.includes(one.name)} onValue=${(/** @type {boolean} */ on) => setGone(on ? [...gone, one.name] : gone.filter((other) => other !== one.name))} /></li>`)}</ul>
		<${Field} label="Name" value=${name} onValue=${setName} optional />
		<${Field} label="Value" type=${secret ? 'password' : 'text'} value=${value} onValue=${setValue} optional />
		<${Check} label="It is a secret" checked=${secret} onValue=${setSecret} />
	</${FormDialog}>`;
}
