import { useEffect, useId, useMemo, useRef, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { sentence } from '../format.js';
import { html } from '../html.js';
import { appLink, navigate } from '../router.js';
import { closeDialog, get, keyOf, putRelease, toast } from '../store.js';
import { envProblem, nameProblem, pathProblem, portProblem } from '../validate.js';
import { Choice } from './choice.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { EnvRows } from './env-rows.js';
import { Field } from './field.js';
import { Icon } from './icon.js';
import { Problem } from './problem.js';

/**
 * @typedef {{name: string, environment: string, component: string, image: string, port: string, replicas: string, cpu: string, memory: string, host: string, path: string, health: string}} Form
 * @typedef {{id: number, key: string, value: string}} EnvRow
 */

/** Asks for no health path, but a connection to the port. */
const connect = 'tcp';

/** @param {hks.App | undefined} app @param {hks.Release | undefined} release @param {string} [component] @returns {Form} */
function initial(app, release, component = app?.components[0]?.name || '') {
	const spec = release?.spec.components.find((one) => one.name === component);
	const now = app?.components.find((one) => one.name === component);
	return {
		name: app?.name || '', environment: app?.environment || 'staging', component, image: spec?.image || now?.image || '',
		port: spec || now ? String(spec?.port || now?.port || '') : '8080', replicas: now && !now.autoscale ? String(now.replicas) : '', cpu: spec?.cpu || '', memory: spec?.memory || '', host: spec?.host || '', path: spec?.path || '', health: spec?.health || '',
	};
}

/** The only component needs no name. */
const only = 'app';

/**
 * What is left out stays as in the release before.
 * @param {Form} form @param {EnvRow[]} rows @param {hks.Release | undefined} before @param {string[]} components @returns {hks.Deploy}
 */
function toDeploy(form, rows, before, components) {
	/** @type {Partial<hks.Component>} */
	const change = { image: form.image.trim() };
	if (components.length > 1) change.name = form.component;
	if (form.port !== '') change.port = Number(form.port);
	/** @type {hks.Deploy} */
	const deploy = { change: [change] };
	const env = rows.filter((row) => row.key !== '');
	if (env.length > 0 || before) deploy.env = Object.fromEntries(env.map((row) => [row.key, row.value]));
	if (form.replicas !== '') deploy.replicas = { [components.length > 1 ? form.component : components[0] || only]: Number(form.replicas) };
	for (const field of /** @type {const} */ (['cpu', 'memory', 'host', 'path', 'health'])) {
		if (form[field].trim() !== '') change[field] = form[field].trim();
	}
	if (!change.health && before?.spec.components.find((one) => one.name === form.component)?.health) change.health = connect;
	return deploy;
}

/** @param {Form} form @param {EnvRow[]} rows @param {boolean} worker nothing listens @returns {Record<string, string>} what is wrong, by field */
function check(form, rows, worker) {
	/** @type {Record<string, string>} */
	const problems = {
		name: nameProblem(form.name),
		image: form.image.trim() === '' ? 'Give an image, such as web:2 or ghcr.io/owner/web:2.' : '',
		port: worker && form.port === '' ? '' : portProblem(form.port),
		replicas: form.replicas === '' || /^\d{1,3}$/.test(form.replicas) ? '' : 'Give a whole number.',
		path: pathProblem(form.path),
		health: pathProblem(form.health),
	};
	for (const row of rows) if (row.key !== '') problems[`env ${row.id}`] = envProblem(row.key);
	return Object.fromEntries(Object.entries(problems).filter(([, problem]) => problem !== ''));
}

/** A new app, or a new release of one that is there. @param {{app?: hks.App, release?: hks.Release}} props */
export function DeployDialog({ app, release }) {
	const [before, setBefore] = useState(release);
	const [form, setForm] = useState(() => initial(app, release));
	const [rows, setRows] = useState(/** @type {EnvRow[]} */ ([]));
	const [told, setTold] = useState(false); // problems show once a deploy was tried
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [busy, setBusy] = useState(false);
	const [images, setImages] = useState(/** @type {hks.Image[]} */ ([]));
	const body = useRef(/** @type {HTMLFormElement | null} */ (null));
	const listId = useId();

	useEffect(() => {
		api.images().then((list) => setImages(list || [])).catch(() => {}); // only suggestions
		if (!app || release) return;
		api.releases(app.name, app.environment).then((releases) => {
			setBefore(releases[0]);
			setForm(initial(app, releases[0]));
		}).catch(() => {}); // the form can be filled by hand
	}, []);
	useEffect(() => setRows(Object.entries(before?.spec.env || {}).map(([key, value], id) => ({ id, key, value }))), [before]);

	const set = (/** @type {keyof Form} */ field) => (/** @type {string} */ value) => setForm((form) => ({ ...form, [field]: value }));
	const there = app || get().apps?.[keyOf(form)];
	const components = (there?.components || []).map((one) => one.name);
	const chosen = there?.components.find((one) => one.name === form.component);
	const worker = Boolean(chosen && !chosen.port);
	const problems = useMemo(() => check(form, rows, worker), [form, rows, worker]);
	const problem = (/** @type {string} */ field) =>
		(told && problems[field]) || (error && error.details.field === field ? sentence(error.message) : '');
	useEffect(() => {
		if (components.length > 0 && !chosen) set('component')(components[0]); // the name of an app that is there was typed
	}, [there]);
	const deploy = toDeploy(form, rows, before, components);
	const command = commands.deploy(form, chosen && form.replicas === String(chosen.replicas) ? { ...deploy, replicas: undefined } : deploy);
	const exists = !app && Boolean(there);
	const choose = (/** @type {string} */ component) => (app ? setForm(initial(app, before, component)) : set('component')(component));

	const submit = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setTold(true);
		setError(null);
		if (Object.keys(problems).length > 0) {
			setTimeout(() => /** @type {HTMLElement | null | undefined} */ (body.current?.querySelector('[aria-invalid="true"]'))?.focus());
			return;
		}
		setBusy(true);
		try {
			const made = await api.deploy(form.name, form.environment, deploy);
			putRelease(made);
			closeDialog();
			navigate(appLink(form));
			toast({ kind: 'info', message: `Release ${made.number} of ${form.name} is on its way.` });
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
			setBusy(false);
		}
	};

	return html`<${Dialog} title=${app ? `Deploy a new version of ${app.name}` : 'Deploy an image'} size="wide">
		<form ref=${body} onSubmit=${submit} noValidate>
			<div class="fields">
				<${Field} label="Name" value=${form.name} onValue=${set('name')} problem=${problem('name')} hint=${exists ? 'This app exists: it gets a new release.' : ''}
					input=${{ disabled: Boolean(app), autofocus: !app, placeholder: 'web' }} />
				<${EnvironmentField} value=${form.environment} onValue=${set('environment')} fixed=${Boolean(app)} />
				${components.length > 1 && html`<${Choice} label="Component" value=${form.component} onValue=${choose} options=${components} />`}
				<${Field} class="grow" label="Image" value=${form.image} onValue=${set('image')} problem=${problem('image')}
					hint="A short name such as web:2 is looked up on the appliance first." input=${{ list: listId, autofocus: Boolean(app), placeholder: 'web:1' }} />
				<datalist id=${listId}>${images.map((image) => html`<option value=${image.name}></option>`)}</datalist>
				<${Field} label="Port" value=${form.port} onValue=${set('port')} problem=${problem('port')} hint=${worker ? 'A worker needs none.' : ''} input=${{ inputMode: 'numeric' }} />
			</div>
			<${EnvRows} rows=${rows} onRows=${setRows} problem=${(/** @type {number} */ id) => problem(`env ${id}`)} />
			<details class="more" open=${Boolean(form.cpu || form.memory || form.host || form.path || form.health)}>
				<summary><${Icon} name="chevron" />Replicas, limits, address and health</summary>
				<div class="fields">
					<${Field} label="Replicas" optional value=${form.replicas} onValue=${set('replicas')} problem=${problem('replicas')} hint=${chosen?.autoscale ? 'Left empty, it goes on following the load.' : ''}
						input=${{ inputMode: 'numeric', placeholder: chosen?.autoscale ? `${chosen.autoscale.min} to ${chosen.autoscale.max}` : '1' }} />
					<${Field} label="CPU limit" optional value=${form.cpu} onValue=${set('cpu')} problem=${problem('cpu')} hint="Such as 500m or 1" />
					<${Field} label="Memory limit" optional value=${form.memory} onValue=${set('memory')} problem=${problem('memory')} hint="Such as 256Mi or 1Gi" />
					<${Field} class="grow" label="Host" optional value=${form.host} onValue=${set('host')} problem=${problem('host')} hint="Left empty, it gets one under the appliance's domain." />
					<${Field} label="Path" optional value=${form.path} onValue=${set('path')} problem=${problem('path')} input=${{ placeholder: '/' }} />
					<${Field} class="grow" label="Health check path" optional value=${form.health} onValue=${set('health')} problem=${problem('health')} hint="Left empty, a connection to the port will do." input=${{ placeholder: '/healthz' }} />
				</div>
			</details>
			${error && !problem(error.details.field) && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			${error && problem(error.details.field) && error.fix && html`<p class="field-hint">${sentence(error.fix)}</p>`}
			<footer class="dialog-foot">
				<${Cli} command=${command} />
				<button type="button" class="button" onClick=${closeDialog}>Cancel</button>
				<button type="submit" class="button primary" disabled=${busy}>${busy ? 'Deploying…' : app ? 'Deploy new version' : 'Deploy'}</button>
			</footer>
		</form>
	</${Dialog}>`;
}

/** @param {{value: string, onValue: (value: string) => void, fixed: boolean}} props */
function EnvironmentField({ value, onValue, fixed }) {
	const name = useId();
	return html`<fieldset class="field segmented" disabled=${fixed}>
		<legend>Environment</legend>
		<div class="segments">${['staging', 'production'].map((environment) => html`<label>
			<input type="radio" name=${name} value=${environment} checked=${value === environment} onChange=${() => onValue(environment)} /><span>${environment}</span>
		</label>`)}</div>
	</fieldset>`;
}
