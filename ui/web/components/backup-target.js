import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { html } from '../html.js';
import { marketApi, marketCommands } from '../market.js';
import { Cli } from './cli.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';

/** Where copies of backups go, and a way to say so. */
export function BackupTargetCard() {
	const [target, setTarget] = useState(/** @type {hks.BackupTarget | null} */ (null));
	const [open, setOpen] = useState('');
	useEffect(() => void marketApi.backupTarget().then(setTarget, tell), []);
	if (!target) return null;
	const none = !target.endpoint;
	return html`<section class="card" aria-labelledby="target-title">
		<header class="card-head"><h2 id="target-title">Copies of backups</h2>
			${!none && html`<button type="button" class="button small" onClick=${() => setOpen('none')}>Stop copying</button>`}
			<button type="button" class="button small" onClick=${() => setOpen('set')}>${none ? 'Copy to an S3 store' : 'Change'}</button>
		</header>
		<div class="card-body">
			${none ? html`<p>Backups stay on this machine only: they go with its disk.</p>`
				: html`<p>Each backup is copied to <strong>${target.endpoint}</strong>, bucket <strong>${target.bucket}</strong>, and is fetched from there when it is restored and gone here.</p>`}
			<${Cli} command="hks backup target" />
		</div>
		${open === 'set' && html`<${TargetDialog} before=${target} onDone=${setTarget} onClose=${() => setOpen('')} />`}
		${open === 'none' && html`<${FormDialog} title="Copy backups nowhere" action="Stop copying" command="hks backup target --none" danger onClose=${() => setOpen('')}
			run=${async () => setTarget(await marketApi.setBackupTarget({ endpoint: '', bucket: '', accessKey: '', secretKey: '' }))}>
			<p>Copies that were made stay where they are, and are not deleted with their backups any more.</p>
		</${FormDialog}>`}
	</section>`;
}

/** @param {{before: hks.BackupTarget, onDone: (target: hks.BackupTarget) => void, onClose: () => void}} props */
function TargetDialog({ before, onDone, onClose }) {
	const [typed, setTyped] = useState({ ...before, region: before.region || '', prefix: before.prefix || '' });
	const put = (/** @type {string} */ name) => (/** @type {string} */ value) => setTyped({ ...typed, [name]: value });
	const address = /^https?:\/\/[^/@\s]+\/?$/.test(typed.endpoint);
	const ready = address && typed.bucket !== '' && typed.accessKey !== '' && typed.secretKey !== '';
	return html`<${FormDialog} title="Copy backups to an S3 store" action="Try and save" command=${marketCommands.target(typed)} ready=${ready} onClose=${onClose}
		run=${async () => onDone(await marketApi.setBackupTarget(typed))}>
		<p>A file is written there, read again and removed before anything is saved.</p>
		<${Field} label="Address" value=${typed.endpoint} onValue=${put('endpoint')} hint="https://HOST of the store, without the bucket" problem=${typed.endpoint === '' || address ? '' : 'Write it as https://HOST or http://HOST:PORT.'} input=${{ autofocus: true }} />
		<${Field} label="Bucket" value=${typed.bucket} onValue=${put('bucket')} hint="It must be there." />
		<${Field} label="Region" value=${typed.region} onValue=${put('region')} optional />
		<${Field} label="Prefix" value=${typed.prefix} onValue=${put('prefix')} hint="Put before each key." optional />
		<${Field} label="Access key" value=${typed.accessKey} onValue=${put('accessKey')} />
		<${Field} label="Secret key" value=${typed.secretKey} onValue=${put('secretKey')} type="password" hint=${before.endpoint ? 'Left alone, it stays as it is.' : ''} />
	</${FormDialog}>`;
}
