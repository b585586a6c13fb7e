import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { ActionButton } from '../components/action-button.js';
import { Choice } from '../components/choice.js';
import { CopyButton } from '../components/copy-button.js';
import { Field } from '../components/field.js';
import { FormDialog } from '../components/form-dialog.js';
import { Icon } from '../components/icon.js';
import { KeptFigures } from '../components/kept-figures.js';
import { Problem } from '../components/problem.js';
import { ServiceBackups } from '../components/service-backups.js';
import { chartReady, chartValues, ServiceForm } from '../components/service-form.js';
import { BuildStatus, Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { VolumesCard } from '../components/volumes-card.js';
import { hidden } from '../commands.js';
import { bytes } from '../format.js';
import { html } from '../html.js';
import { atWork, marketApi, marketCommands, useKeptFresh } from '../market.js';
import { appLink } from '../router.js';
import { toast, useStore } from '../store.js';
import { useTitle } from '../title.js';

/** One service: how it is, its credentials, its apps, its backups. @param {{name: string}} props */
export function ServiceView({ name }) {
	const { value: service, error, again } = useKeptFresh(() => marketApi.service(name), atWork, name);
	const [dialog, setDialog] = useState('');
	useTitle(name);
	const back = html`<p><a class="back" href="/services"><${Icon} name="back" />Services</a></p>`;
	if (error?.status === 404) return html`${back}<header class="page-head"><h1>${name}</h1></header><p class="muted">It is not there, or was removed with its volume.</p>`;
	if (!service) return html`${back}<header class="page-head"><h1>${name}</h1></header>${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`}`;
	const close = () => {
		setDialog('');
		again();
	};
	const gone = service.status === 'removed';
	const actions = [
		...(gone ? [] : [{ id: 'change', label: 'Change', icon: 'settings', cli: `hks market upgrade ${name}`, run: () => setDialog('change') }]),
		...(gone || !service.engine ? [] : [{ id: 'rotate', label: 'Rotate credentials', icon: 'restart', cli: `hks market rotate ${name}`, run: () => setDialog('rotate') }]),
		{ id: 'uninstall', label: gone ? 'Remove for good' : 'Uninstall', icon: 'trash', danger: true, cli: `hks market uninstall ${name}${gone ? ' --purge' : ''}`, run: () => setDialog('uninstall') },
	];
	return html`${back}
		<header class="app-head">
			<div class="app-title"><h1>${name}</h1><span class="tag">${service.title} ${service.appVersion}</span><${Status} status=${service.status} /></div>
			<p class="app-facts muted">
				${service.port && html`<span>at <strong>${service.host}:${service.port}</strong></span>`}
				<span>volume of <strong>${bytes(service.storageBytes)}</strong></span>
				<span>since <${Time} at=${service.createdAt} /></span>
				${gone && html`<span>its volume and backups stay until <${Time} at=${service.keptUntil} /></span>`}
			</p>
			<div class="actions">${actions.map((action) => html`<${ActionButton} key=${action.id} action=${action} />`)}</div>
		</header>
		${service.reason && html`<${Problem} message=${service.reason} fix=${service.fix} tone=${service.status === 'error' ? 'bad' : 'warn'} />`}
		${service.job && html`<${Job} job=${service.job} />`}
		${!gone && html`<${CredentialsCard} service=${service} /><${BoundApps} service=${service} onChange=${again} />`}
		${!gone && html`<section class="card" aria-labelledby="figures-title"><header class="card-head"><h2 id="figures-title">The last day</h2></header>
			<${KeptFigures} kind="service" name=${name} none="Nothing is known yet: the first figures come some minutes after the start." /></section>`}
		<${VolumesCard} mine=${(/** @type {hks.Volume} */ volume) => volume.service === name} grow=${() => `hks market upgrade ${name} --storage SIZE`} />
		${service.engine && html`<${ServiceBackups} service=${service} onChange=${again} />`}
		${dialog === 'change' && html`<${ChangeServiceDialog} service=${service} onClose=${close} />`}
		${dialog === 'rotate' && html`<${FormDialog} title=${`Rotate the credentials of ${name}?`} action="Rotate" command=${`hks market rotate ${name}`} run=${() => marketApi.rotate(name)} onClose=${close}>
			<p>A second user is made, each bound app gets it by a release, and the first one goes when all of them serve. No request is lost.</p>
		</${FormDialog}>`}
		${dialog === 'uninstall' && html`<${UninstallDialog} service=${service} onClose=${close} />`}`;
}

/** What was done last, step by step. @param {{job: hks.ServiceJob}} props */
function Job({ job }) {
	return html`<section class="card" aria-labelledby="job-title" aria-live="polite">
		<header class="card-head"><h2 id="job-title">Last work: ${job.kind}</h2><${BuildStatus} status=${job.status} /><span class="spacer"></span><span class="muted">by ${job.by}, <${Time} at=${job.createdAt} /></span></header>
		<ul class="vars">${job.steps.map((step) => html`<li key=${step.time + step.text}>${step.text}</li>`)}</ul>
		${job.failure && html`<div class="card-body"><${Problem} message=${job.failure.message} fix=${job.failure.fix} code=${job.failure.code} /></div>`}
	</section>`;
}

/** Shown only when asked for; that is recorded. @param {{service: hks.Service}} props */
function CredentialsCard({ service }) {
	const [held, setHeld] = useState(/** @type {hks.Credentials | null} */ (null));
	useEffect(() => setHeld(null), [service.user]);
	const reveal = () => (held ? setHeld(null) : marketApi.credentials(service.name).then(setHeld, tell));
	return html`<section class="card" aria-labelledby="credentials-title">
		<header class="card-head">
			<h2 id="credentials-title">Credentials</h2><span class="muted">that you looked is recorded</span><span class="spacer"></span>
			<button type="button" class="button small" aria-expanded=${held ? 'true' : 'false'} onClick=${reveal}>${held ? 'Hide' : 'Reveal'}</button>
		</header>
		${held
			? html`<ul class="vars">${Object.entries(held.env).sort().map(([name, value]) => html`<li key=${name}><code class="var-name">${name}</code><code class="breaks">${value}</code><span class="spacer"></span><${CopyButton} text=${value} what=${name} /></li>`)}</ul>`
			: html`<p class="card-note muted">User ${service.user}, password ${hidden}. A client opens by <code>hks connect ${service.name}</code>.</p>`}
	</section>`;
}

/** @param {{service: hks.Service, onChange: () => void}} props */
function BoundApps({ service, onChange }) {
	const [open, setOpen] = useState(/** @type {hks.Binding | 'bind' | null} */ (null));
	const close = () => {
		setOpen(null);
		onChange();
	};
	return html`<section class="card" aria-labelledby="bound-title">
		<header class="card-head"><h2 id="bound-title">Bound apps</h2><span class="spacer"></span>
			<button type="button" class="button small" disabled=${service.status === 'installing'} onClick=${() => setOpen('bind')}><${Icon} name="plus" />Bind an app</button></header>
		${service.bindings.length === 0 && html`<p class="card-note muted">None yet. A bound app gets the credentials as secrets, by a release.</p>`}
		<ul class="vars">${service.bindings.map((one) => html`<li key=${one.app + one.environment}>
			<a href=${appLink({ name: one.app, environment: one.environment })}><strong>${one.app}</strong></a><span class="tag ${one.environment}">${one.environment}</span>
			<span class="muted">${one.names.join(', ')}</span><span class="spacer"></span>
			<button type="button" class="button small" aria-label=${`Unbind ${one.app} in ${one.environment}`} onClick=${() => setOpen(one)}>Unbind</button>
		</li>`)}</ul>
		${open === 'bind' && html`<${BindDialog} service=${service} onClose=${close} />`}
		${open && open !== 'bind' && html`<${FormDialog} title=${`Unbind ${open.app}?`} action="Unbind" danger command=${marketCommands.unbind(open)} run=${() => marketApi.unbind(open)} onClose=${close}>
			<p>${open.app} in ${open.environment} loses ${open.names.join(', ')} with a new release of the same images.</p>
		</${FormDialog}>`}
	</section>`;
}

/** @param {{service: hks.Service, onClose: () => void}} props */
function BindDialog({ service, onClose }) {
	const apps = useStore((state) => state.apps);
	const bound = service.bindings.map((one) => `${one.app}/${one.environment}`);
	const options = Object.keys(apps || {}).filter((key) => !bound.includes(key)).sort();
	const [key, setKey] = useState(options[0] || '');
	const [app, environment = 'staging'] = key.split('/');
	const run = async () => {
		const made = await marketApi.bind(service.name, app, environment);
		toast({ kind: 'info', message: `Release ${made.release} of ${app} brings the credentials.` });
	};
	return html`<${FormDialog} title=${`Bind an app to ${service.name}`} action="Bind" command=${marketCommands.bind(service.name, app, environment)} ready=${key !== ''} run=${run} onClose=${onClose}>
		${options.length === 0 ? html`<p>There is no app that is not bound already.</p>` : html`<${Choice} label="App" value=${key} onValue=${setKey} options=${options} autofocus />`}
	</${FormDialog}>`;
}

/** @param {{service: hks.Service, onClose: () => void}} props */
function ChangeServiceDialog({ service, onClose }) {
	const [entry, setEntry] = useState(/** @type {hks.CatalogueEntry | null} */ (null));
	const [typed, setTyped] = useState(/** @type {Record<string, string>} */ ({}));
	useEffect(() => void marketApi.entry(service.chart).then((found) => setEntry({ ...found, values: { ...found.values, ...service.values } }), (cause) => { onClose(); tell(cause); }), []);
	if (!entry) return null;
	const values = chartValues(entry, typed);
	return html`<${FormDialog} title=${`Change ${service.name}`} action="Change" command=${marketCommands.upgrade(service.name, values)} ready=${Object.keys(values).length > 0 && chartReady(entry, typed)}
		run=${() => marketApi.upgrade(service.name, { values })} onClose=${onClose}>
		<p>It is started anew with what you change; one that does not get ready is rolled back. Its volume grows, and never shrinks.</p>
		<${ServiceForm} entry=${entry} typed=${typed} onTyped=${setTyped} />
	</${FormDialog}>`;
}

/** @param {{service: hks.Service, onClose: () => void}} props */
function UninstallDialog({ service, onClose }) {
	const gone = service.status === 'removed';
	const [typed, setTyped] = useState('');
	return html`<${FormDialog} title=${gone ? `Remove ${service.name} for good?` : `Uninstall ${service.name}?`} action=${gone ? 'Remove for good' : 'Uninstall'} danger
		command=${`hks market uninstall ${service.name}${gone ? ' --purge' : ''}`} ready=${typed === service.name} run=${() => marketApi.uninstall(service.name, gone)} onClose=${onClose}>
		<p>${gone ? 'Its volume and all its backups go.' : 'Its volume and backups stay for seven days: installed again under the same name, it has its data.'}</p>
		<${Field} label=${`Type ${service.name}`} value=${typed} onValue=${setTyped} input=${{ autofocus: true }} />
	</${FormDialog}>`;
}
