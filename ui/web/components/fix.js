import { sentence } from '../format.js';
import { html } from '../html.js';
import { CopyButton } from './copy-button.js';

/** A command of ours at the end of a sentence. */
const command = /^(.*?)((?:sudo )?hks [a-z].*?)\.?$/s;

/** The next thing to do; a command in it can be copied. @param {{text: string}} props */
export function Fix({ text }) {
	const match = command.exec(text);
	if (!match) return html`<p class="fix">${sentence(text)}</p>`;
	return html`<p class="fix">${sentence(match[1])}<span class="fix-command"><code>${match[2]}</code><${CopyButton} text=${match[2]} what="command" /></span></p>`;
}
