import { copy } from '../clipboard.js';
import { html } from '../html.js';
import { Icon } from './icon.js';

/** @param {{text: string, what: string}} props */
export function CopyButton({ text, what }) {
	return html`<button type="button" class="icon-button" aria-label=${`Copy ${what}`} title=${`Copy ${what}`} onClick=${() => copy(text, what[0].toUpperCase() + what.slice(1))}>
		<${Icon} name="copy" />
	</button>`;
}
