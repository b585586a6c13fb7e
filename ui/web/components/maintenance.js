import { useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api } from '../api.js';
import { commands } from '../commands.js';
import { copy } from '../clipboard.js';
import { html } from '../html.js';
import { putApp, toast } from '../store.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Icon } from './icon.js';
import { Problem } from './problem.js';
import { Time } from './time.js';

/** The switch of an app's maintenance page, and its twin. @param {{app: hks.App}} props */
export function MaintenanceSwitch({ app }) {
	const [asking, setAsking] = useState(false);
	const on = Boolean(app.maintenance?.on);
	const command = commands.maintenance(!on, app);
	const act = async () => {
		if (!on) return setAsking(true);
		try {
			putApp(await api.maintenance(app.name, app.environment, false, ''));
			toast({ kind: 'success', message: `${app.name} answers itself again.` });
		} catch (error) {
			tell(error);
		}
	};
	return html`<span class="split" role="group" aria-label="Maintenance page">
		<button type="button" class="button" role="switch" aria-checked=${on ? 'true' : 'false'} disabled=${app.status === 'deleting'} onClick=${act}><${Icon} name=${on ? 'play' : 'pause'} />Maintenance page ${on ? 'on' : 'off'}</button>
		<button type="button" class="button twin" aria-label=${`Copy command: ${command}`} data-tip=${command} onClick=${() => copy(command, 'Command')}><${Icon} name="terminal" /></button>
		${asking && html`<${MaintenanceDialog} app=${app} onClose=${() => setAsking(false)} />`}
	</span>`;
}

/** @param {{app: hks.App, onClose: () => void}} props */
function MaintenanceDialog({ app, onClose }) {
	const [message, setMessage] = useState('');
	const run = async () => {
		putApp(await api.maintenance(app.name, app.environment, true, message));
		toast({ kind: 'success', message: `Visitors of ${app.name} see the maintenance page.` });
	};
	return html`<${FormDialog} title=${`Show a maintenance page for ${app.name}?`} action="Show the page" command=${commands.maintenance(true, app, message)} run=${run} onClose=${onClose}>
		<p>Visitors get the page with status 503 in place of ${app.name} in ${app.environment}. The app goes on running, and can be deployed behind it.</p>
		<${Field} label="Message" optional value=${message} onValue=${setMessage} hint="One line, shown on the page." input=${{ autofocus: true, maxLength: 500, placeholder: "Back at 9 o'clock." }} />
	</${FormDialog}>`;
}

/** Says that visitors do not reach the app. @param {{app: hks.App}} props */
export function MaintenanceNote({ app: { maintenance } }) {
	if (!maintenance?.on) return null;
	return html`<${Problem} tone="warn" message=${maintenance.applied ? 'Visitors see the maintenance page.' : 'The maintenance page is on its way.'}>
		<p class="problem-why">${maintenance.message && html`“${maintenance.message}” `}Since <${Time} at=${maintenance.since} />, by ${maintenance.by}.</p>
	</${Problem}>`;
}
