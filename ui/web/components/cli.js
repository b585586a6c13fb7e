import { copy } from '../clipboard.js';
import { html } from '../html.js';
import { Icon } from './icon.js';

/** A command to read and copy. @param {{command: string, label?: string}} props */
export function Cli({ command, label = 'Same on the command line' }) {
	return html`<div class="cli" role="group" aria-label=${label}>
		<code>${command.split(' ').map((word) => html`<span>${word}</span> `)}</code>
		<button type="button" class="icon-button" aria-label="Copy command" title="Copy command" onClick=${() => copy(command, 'Command')}><${Icon} name="copy" /></button>
	</div>`;
}
