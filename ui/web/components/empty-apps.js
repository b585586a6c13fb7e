import { html } from '../html.js';
import { openDialog } from '../store.js';
import { Cli } from './cli.js';
import { Icon } from './icon.js';

/** Teaches the first deploy. */
export function EmptyApps() {
	return html`<div class="empty">
		<${Icon} name="app" />
		<h3>Deploy your first app</h3>
		<p>Any image with an HTTP server will do. It gets a release, an address and live figures.</p>
		<p><button type="button" class="button primary" onClick=${() => openDialog({ kind: 'deploy' })}><${Icon} name="plus" />Deploy an image</button></p>
		<p class="muted">or on the command line</p>
		<${Cli} command="hks deploy --name web --image IMG --port 8080" />
		<p class="muted">An image from a tar file: <a href="/images">load it</a> into the appliance first.</p>
	</div>`;
}
