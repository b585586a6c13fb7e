import { html } from '../html.js';
import { Cli } from './cli.js';

/** How root makes a set-up link. */
export function NewLink() {
	return html`<${Cli} command="sudo hks setup-link" label="Makes a new set-up link" />`;
}
