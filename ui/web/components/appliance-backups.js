import { useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { applianceApi } from '../appliance.js';
import { ApiError } from '../api.js';
import { bytes, count, known } from '../format.js';
import { html } from '../html.js';
import { useKeptFresh } from '../market.js';
import { ActionButton } from './action-button.js';
import { Cli } from './cli.js';
import { CopyButton } from './copy-button.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** @param {number} minutes */
const every = (minutes) => (minutes % 1440 === 0 ? (minutes === 1440 ? 'daily' : `every ${minutes / 1440} days`) : minutes % 60 === 0 ? `every ${minutes / 60} hours` : `every ${minutes} minutes`);

/** @param {number} size */
const sizeOf = (size) => (size < 1024 * 1024 ? `${Math.ceil(size / 1024)} KiB` : bytes(size));

/** The archives of the whole appliance: made, tried, fetched. */
export function ApplianceBackups() {
	const { value: state, error, again } = useKeptFresh(applianceApi.backups, (now) => Boolean(now.running), 'appliance');
	const [making, setMaking] = useState(false);
	const [doomed, setDoomed] = useState(/** @type {hks.ApplianceBackup | null} */ (null));
	if (!state) return error && error.status !== 404 && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`;
	const begin = (/** @type {Promise<unknown>} */ asked) => asked.then(again, tell);
	const create = { id: 'create', label: 'Back up now', icon: 'download', cli: 'hks appliance backup create', run: () => setMaking(true) };
	const { schedule, running, last, drill } = state;
	return html`<section class="card" aria-labelledby="appliance-backups-title">
		<header class="card-head"><h2 id="appliance-backups-title">Backups of the appliance</h2>
			<span class="muted">${schedule.everyMins > 0 ? html`${every(schedule.everyMins)}, ${schedule.keep} kept; next <${Time} at=${schedule.next} />` : 'by hand; the plan pro makes one a day'}</span>
			<span class="spacer"></span><${ActionButton} action=${create} /></header>
		<p class="card-note muted">${drill
			? html`<${Status} status=${drill.good ? 'healthy' : 'failed'} label=${drill.good ? 'last drill good' : 'last drill bad'} /> <${Time} at=${drill.at} />, backup ${drill.backup}: ${drill.message}.`
			: 'Never tried: a drill opens an archive, checks each file and both databases, and looks for every image that a release needs.'}
			${state.target ? ` Copies go to ${state.target}.` : ' There are no copies elsewhere.'}</p>
		${running && html`<p class="card-note" role="status"><${Status} status="updating" label=${running.kind === 'drill' ? `trying backup ${running.backup}` : 'saving'} /> ${running.steps.at(-1)?.text}</p>`}
		${!running && last?.failure && html`<${Problem} message=${`The last backup failed: ${last.failure.message}`} fix=${last.failure.fix} code=${last.failure.code} />`}
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`}
		<${RecoveryKey} shown=${state.keyShownAt} onShown=${again} />
		${state.backups.length > 0 && html`<table class="plain" role="table" aria-label="Backups of the appliance">
			<thead role="rowgroup"><tr role="row">${['Backup', 'Made', 'Size', 'Holds', 'Drill', ''].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
			<tbody role="rowgroup">${state.backups.map((one) => html`<tr role="row" key=${one.id}>
				<td role="cell" class="cell-name"><strong>${one.id}</strong> <span class="muted">${one.trigger}</span></td>
				<td role="cell" data-label="Made"><${Time} at=${one.createdAt} /></td>
				<td role="cell" data-label="Size" class="number">${sizeOf(one.bytes)}</td>
				<td role="cell" data-label="Holds">${count(one.contents.rows.app || 0, 'app')}, ${count(one.contents.rows.release || 0, 'release')}${one.contents.leftOut.length > 0 && html`<br /><span class="muted">without ${one.contents.leftOut.join(', ')}</span>`}${one.remoteFailure && html`<br /><span class="muted">not copied: ${one.remoteFailure}</span>`}</td>
				<td role="cell" data-label="Drill">${one.drill ? html`<${Status} status=${one.drill.good ? 'healthy' : 'failed'} label=${one.drill.good ? 'good' : 'bad'} />` : html`<span class="muted">never</span>`}</td>
				<td role="cell"><span class="actions">
					<button type="button" class="button small" disabled=${Boolean(running)} aria-label=${`Try backup ${one.id}`} onClick=${() => begin(applianceApi.drill(one.id))}>Try</button>
					<a class="button small" href=${applianceApi.archive(one.id)} download=${one.file} aria-label=${`Download backup ${one.id}`}>Download</a>
					<button type="button" class="button small" disabled=${Boolean(running)} aria-label=${`Delete backup ${one.id}`} onClick=${() => setDoomed(one)}>Delete</button>
				</span></td>
			</tr>`)}</tbody>
		</table>`}
		${making && html`<${MakeDialog} onClose=${() => { setMaking(false); again(); }} />`}
		${doomed && html`<${DeleteDialog} backup=${doomed} onClose=${() => { setDoomed(null); again(); }} />`}
	</section>`;
}

/** @param {{shown?: string, onShown: () => void}} props */
function RecoveryKey({ shown, onShown }) {
	const [key, setKey] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const show = () => applianceApi.recoveryKey().then((found) => { setKey(found.key); setError(null); onShown(); }, (cause) => {
		if (!(cause instanceof ApiError)) throw cause;
		setError(cause);
	});
	return html`<div class="card-body">
		${!known(shown) && html`<${Problem} message="Nobody has seen the recovery key yet, and without it no archive opens." fix="Show it, and keep it elsewhere than the archives." />`}
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
		${key
			? html`<div class="secret" role="status"><p>The recovery key. Whoever has it and an archive has everything that is in the appliance.</p><div class="cli"><code class="breaks">${key}</code><${CopyButton} text=${key} what="recovery key" /></div></div>`
			: html`<p><button type="button" class="button" onClick=${show}>Show the recovery key</button> <span class="muted">On a clean machine: <code>hks-installer restore ARCHIVE</code></span></p>`}
		${!key && html`<${Cli} command="hks recovery-key" />`}
	</div>`;
}

/** @param {{onClose: () => void}} props */
function MakeDialog({ onClose }) {
	const [volumes, setVolumes] = useState(false);
	return html`<${FormDialog} title="Back up the appliance" action="Back up" command=${`hks appliance backup create${volumes ? ' --volumes' : ''}`} run=${() => applianceApi.backUp(volumes)} onClose=${onClose}>
		<p>One encrypted archive: apps, releases, secrets, schedules, functions, settings, certificates, tokens, the images that releases need, and the services' newest backups.</p>
		<label class="check"><input type="checkbox" checked=${volumes} onChange=${(/** @type {any} */ event) => setVolumes(event.target.checked)} /> With the volumes too. Their writes wait while each is copied.</label>
	</${FormDialog}>`;
}

/** @param {{backup: hks.ApplianceBackup, onClose: () => void}} props */
function DeleteDialog({ backup, onClose }) {
	const [typed, setTyped] = useState('');
	return html`<${FormDialog} title=${`Delete backup ${backup.id}?`} action="Delete" danger command=${`hks appliance backup delete ${backup.id}`} ready=${typed === String(backup.id)} run=${() => applianceApi.deleteBackup(backup.id)} onClose=${onClose}>
		<p>It is removed for good, and its copy elsewhere too.</p>
		<${Field} label=${`Type ${backup.id}`} value=${typed} onValue=${setTyped} input=${{ autofocus: true }} />
	</${FormDialog}>`;
}
