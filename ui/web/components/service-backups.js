import { useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { bytes, count } from '../format.js';
import { html } from '../html.js';
import { atWork, marketApi, useKeptFresh } from '../market.js';
import { ActionButton } from './action-button.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** The backups of a service: made, proved, restored. @param {{service: hks.Service, onChange: () => void}} props */
export function ServiceBackups({ service, onChange }) {
	const { name } = service;
	const busy = atWork(service);
	const { value: backups, error, again } = useKeptFresh(() => marketApi.backups(name).then((list) => list || []), () => busy, `${name} ${service.job?.id} ${service.job?.status}`);
	const [open, setOpen] = useState(/** @type {{verb: 'restore' | 'delete', backup: hks.Backup} | null} */ (null));
	const begin = (/** @type {Promise<unknown>} */ asked) => asked.then(onChange, tell);
	const close = () => {
		setOpen(null);
		onChange();
		again();
	};
	const create = { id: 'create', label: 'Back up now', icon: 'download', cli: `hks backup create ${name}`, run: () => begin(marketApi.backUp(name)) };
	return html`<section class="card" aria-labelledby="backups-title">
		<header class="card-head"><h2 id="backups-title">Backups</h2>
			<span class="muted">${service.schedule ? html`every ${service.schedule.everyHours} hours, ${service.schedule.keep} kept; next <${Time} at=${service.schedule.next} />` : 'by hand; the plan pro makes one a day'}</span>
			<span class="spacer"></span>${service.status !== 'removed' && html`<${ActionButton} action=${create} />`}</header>
		<p class="card-note muted">${service.verified
			? html`Last verified <${Time} at=${service.verified.at} />: ${service.verified.message}.`
			: 'Never verified: a verification restores a backup into a scratch instance and compares every table.'}</p>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`}
		${backups && backups.length > 0 && html`<table class="plain" role="table" aria-label="Backups">
			<thead role="rowgroup"><tr role="row">${['Backup', 'Made', 'Size', 'Holds', 'Verified', ''].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
			<tbody role="rowgroup">${backups.map((one) => html`<tr role="row" key=${one.id}>
				<td role="cell" class="cell-name"><strong>${one.id}</strong> <span class="muted">${one.trigger}</span></td>
				<td role="cell" data-label="Made"><${Time} at=${one.createdAt} /></td>
				<td role="cell" data-label="Size" class="number">${one.bytes < 1024 * 1024 ? `${Math.ceil(one.bytes / 1024)} KiB` : bytes(one.bytes)}</td>
				<td role="cell" data-label="Holds">${count(one.tables.length, 'table')}, ${count(one.tables.reduce((sum, table) => sum + table.rows, 0), 'row')}</td>
				<td role="cell" data-label="Verified">${one.verified ? html`<${Status} status=${one.verified.good ? 'healthy' : 'failed'} label=${one.verified.good ? 'good' : 'bad'} />` : html`<span class="muted">never</span>`}</td>
				<td role="cell"><span class="actions">
					<button type="button" class="button small" disabled=${busy} aria-label=${`Verify backup ${one.id}`} onClick=${() => begin(marketApi.withBackup(name, one.id, 'verify'))}>Verify</button>
					<button type="button" class="button small" disabled=${busy} aria-label=${`Restore backup ${one.id}`} onClick=${() => setOpen({ verb: 'restore', backup: one })}>Restore</button>
					<button type="button" class="button small" disabled=${busy} aria-label=${`Delete backup ${one.id}`} onClick=${() => setOpen({ verb: 'delete', backup: one })}>Delete</button>
				</span></td>
			</tr>`)}</tbody>
		</table>`}
		${open && html`<${BackupDialog} name=${name} verb=${open.verb} backup=${open.backup} onClose=${close} />`}
	</section>`;
}

/** @param {{name: string, verb: 'restore' | 'delete', backup: hks.Backup, onClose: () => void}} props */
function BackupDialog({ name, verb, backup, onClose }) {
	const [typed, setTyped] = useState('');
	const restore = verb === 'restore';
	return html`<${FormDialog} title=${restore ? `Restore backup ${backup.id}?` : `Delete backup ${backup.id}?`} action=${restore ? 'Restore' : 'Delete'} danger command=${`hks backup ${verb} ${name} ${backup.id}`}
		ready=${typed === name} run=${() => (restore ? marketApi.withBackup(name, backup.id, 'restore') : marketApi.deleteBackup(name, backup.id))} onClose=${onClose}>
		<p>${restore
			? html`What is in <strong>${name}</strong> is put back to <${Time} at=${backup.createdAt} />; what was written since is then gone from it. The backup is restored beside the data of now and compared first; if anything is wrong, nothing changes.`
			: 'It is removed for good, and its copy elsewhere too.'}</p>
		<${Field} label=${`Type ${name}`} value=${typed} onValue=${setTyped} input=${{ autofocus: true }} />
	</${FormDialog}>`;
}
