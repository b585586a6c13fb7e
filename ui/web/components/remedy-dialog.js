import { api } from '../api.js';
import { html } from '../html.js';
import { putApp, putRelease, toast } from '../store.js';
import { FormDialog } from './form-dialog.js';

/**
 * Carries out a remedy with the app's own calls, once it was said what that
 * does.
 * @param {{remedy: hks.Remedy, subject: string, onClose: () => void}} props
 */
export function RemedyDialog({ remedy, subject, onClose }) {
	const action = /** @type {hks.RemedyAction} */ (remedy.action);
	const { app, environment } = action;
	const does = {
		rollback: `Brings back the image and settings of release ${action.release} as a new release. No request is dropped.`,
		restart: 'Replaces the instances one by one. No request is dropped.',
		memory: `Makes a new release${action.component ? ` in which ${action.component} may take ${action.memory}` : ` with a limit of ${action.memory}`}. The workspace's quota is checked first.`,
	}[action.kind];
	const run = async () => {
		if (action.kind === 'restart') {
			putApp(await api.restart(app, environment));
			toast({ kind: 'success', message: `Restarting ${app}; the instances are replaced one by one.` });
			return;
		}
		const release = action.kind === 'rollback'
			? await api.rollback(app, environment, action.release || 0)
			: await api.deploy(app, environment, { change: [{ name: action.component, memory: action.memory }] });
		putRelease(release);
		toast({ kind: 'success', message: `Release ${release.number} of ${app} is on its way.`, detail: 'The incident ends when the trouble is no longer seen.' });
	};
	return html`<${FormDialog} title=${`${remedy.title.split(':')[0]}?`} action="Do it" command=${remedy.command || ''} run=${run} onClose=${onClose}>
		<p><strong>${subject}</strong></p><p>${does}</p>
	</${FormDialog}>`;
}
