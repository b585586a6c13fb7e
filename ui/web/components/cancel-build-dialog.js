import { api } from '../api.js';
import { commands } from '../commands.js';
import { html } from '../html.js';
import { putBuild, toast } from '../store.js';
import { FormDialog } from './form-dialog.js';

/** @param {{build: hks.Build}} props */
export function CancelBuildDialog({ build }) {
	const run = async () => {
		putBuild(await api.cancelBuild(build.id));
		toast({ kind: 'success', message: `Build ${build.id} is cancelled.` });
	};
	return html`<${FormDialog} title=${`Cancel build ${build.id}?`} action="Cancel the build" danger command=${commands.cancelBuild(build)} run=${run}>
		<p>It stops where it is and makes no release; what ${build.app} serves in ${build.environment} stays. The steps that are done are quick the next time.</p>
	</${FormDialog}>`;
}
