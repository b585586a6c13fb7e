import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { html } from '../html.js';
import { lazy } from '../lazy.js';
import { toast } from '../store.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { Field } from './field.js';
import { fromBytes, toBytes } from './function-parts.js';
import { Problem } from './problem.js';

/** What a new function begins with. @type {Record<string, Record<string, string>>} */
const beginnings = {
	nodejs: { 'index.js': "exports.hello = (request, response) => {\n  response.send(`Hello, ${request.query.name || 'world'}!`);\n};\n" },
	python: { 'main.py': 'def hello(request):\n    return f"Hello, {request.args.get(\'name\', \'world\')}!"\n' },
	go: {
		'go.mod': 'module example.com/hello\n\ngo 1.26\n',
		'hello.go': 'package hello\n\nimport (\n\t"fmt"\n\t"net/http"\n\n\t"github.com/GoogleCloudPlatform/functions-framework-go/functions"\n)\n\nfunc init() { functions.HTTP("hello", hello) }\n\nfunc hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Hello!") }\n',
	},
};

const CodeEditor = lazy(() => import('./code-editor.js').then((m) => m.CodeEditor));

const versionPeriod = 700;

/** A small editor: files, settings, and the way of the new version. @param {{of?: hks.FunctionState, onDone: () => unknown, onClose: () => void}} props */
export function FunctionEditor({ of, onDone, onClose }) {
	const [spec, setSpec] = useState(/** @type {Record<string, any>} */ (of ? of.spec : { name: '', runtime: 'nodejs', entry: 'hello', signature: 'http' }));
	const [files, setFiles] = useState(/** @type {Record<string, string> | null} */ (of ? null : beginnings.nodejs));
	const [file, setFile] = useState('');
	const [version, setVersion] = useState(/** @type {hks.FunctionVersion | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const names = Object.keys(files || {}).sort();
	const shown = file || names[0] || '';
	useEffect(() => {
		if (!of) return;
		if (of.version === 0) return setFiles(beginnings[of.spec.runtime] || {});
		api.functionSource(of.name, of.version).then((source) => setFiles(Object.fromEntries(Object.entries(source.files).map(([name, bytes]) => [name, fromBytes(/** @type {string} */ (bytes))]))), setError);
	}, []);
	const over = version?.status === 'ready' || version?.status === 'failed';
	useEffect(() => {
		if (!version || over) return;
		const timer = setInterval(() => api.functionVersions(spec.name).then((all) => setVersion(all.find((one) => one.number === version.number) || version), () => {}), versionPeriod); // the next look tells
		return () => clearInterval(timer);
	}, [version?.number, over]);
	useEffect(() => {
		if (!over) return;
		void onDone();
		if (version?.status === 'ready') {
			toast({ kind: 'success', message: `Version ${version.number} of ${spec.name} serves.` });
			onClose();
		}
	}, [over]);
	const begin = (/** @type {string} */ runtime) => {
		setSpec((now) => ({ ...now, runtime }));
		if (beginnings[runtime]) setFiles(beginnings[runtime]);
		setFile('');
	};
	const save = async () => {
		setError(null);
		setVersion(null);
		try {
			setVersion(await api.deployFunction({ spec, files: Object.fromEntries(Object.entries(files || {}).map(([name, content]) => [name, toBytes(content)])) }));
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	const keys = (/** @type {KeyboardEvent} */ event) => {
		if (event.key === 's' && (event.ctrlKey || event.metaKey)) {
			event.preventDefault();
			void save();
		}
	};
	const going = Boolean(version) && !over;
	return html`<section class="card" aria-label=${of ? `Edit ${of.name}` : 'New function'} onKeyDown=${keys}>
		<header class="card-head"><h2>${of ? `Edit ${of.name}` : 'New function'}</h2><span class="spacer"></span>
			<button type="button" class="button small" onClick=${onClose}>Close</button>
			<button type="button" class="button primary small" disabled=${going || !files || !spec.name} onClick=${save}>${going ? `Version ${version?.number}: ${version?.status}…` : 'Deploy'}</button>
		</header>
		<div class="card-body">
			${!of && html`<${Field} label="Name" value=${spec.name} onValue=${(/** @type {string} */ name) => setSpec((now) => ({ ...now, name }))} hint="Lower-case letters, digits and dashes." />
				<div class="field"><label for="function-runtime">Language</label><select id="function-runtime" value=${spec.runtime} onChange=${(/** @type {any} */ event) => begin(event.target.value)}><option value="nodejs">Node.js</option><option value="python">Python</option><option value="go">Go</option></select></div>
				<${Field} label="Handler" value=${spec.entry} onValue=${(/** @type {string} */ entry) => setSpec((now) => ({ ...now, entry }))} hint="Name of the exported function." />`}
			${names.length > 1 && html`<div class="field"><label for="function-file">File</label><select id="function-file" value=${shown} onChange=${(/** @type {any} */ event) => setFile(event.target.value)}>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></div>`}
			${files && shown && html`<div class="field"><label for="function-source">${shown}</label>
				<${CodeEditor} key=${shown} id="function-source" name=${shown} value=${files[shown]} onValue=${(/** @type {string} */ content) => setFiles({ ...files, [shown]: content })} /></div>`}
			<${Cli} command="hks function deploy" />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			${version?.status === 'failed' && html`<${Problem} message=${`Version ${version.number} failed, the one before serves: ${version.failure?.message || ''}`} fix=${version.failure?.fix} />
				${(version.failure?.logs || []).length > 0 && html`<pre class="terminal" aria-label="Log of the version" tabindex="0">${(version.failure?.logs || []).join('\n')}</pre>`}`}
		</div>
	</section>`;
}

/** @param {{of: hks.FunctionState, onDone: () => unknown, onClose: () => void}} props */
export function DeleteFunctionDialog({ of, onDone, onClose }) {
	const [typed, setTyped] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const remove = async (/** @type {Event} */ event) => {
		event.preventDefault();
		try {
			await api.deleteFunction(of.name);
			toast({ kind: 'success', message: `${of.name} is deleted.` });
			await onDone();
			onClose();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	return html`<${Dialog} title=${`Delete ${of.name}?`} onClose=${onClose}>
		<form onSubmit=${remove} noValidate>
			<p>Its versions, variables and calls that wait go with it.</p>
			<${Field} label=${`Type ${of.name} to confirm`} value=${typed} onValue=${setTyped} />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${`hks function delete ${of.name}`} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button destroy" disabled=${typed !== of.name}>Delete</button>
			</footer>
		</form>
	</${Dialog}>`;
}
