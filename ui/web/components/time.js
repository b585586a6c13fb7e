import { absolute, known, relative } from '../format.js';
import { html } from '../html.js';
import { useStore } from '../store.js';

/** How long ago, with the exact time on hover. @param {{at: string | undefined, never?: string}} props */
export function Time({ at, never = 'never' }) {
	const words = useStore((state) => (known(at) ? relative(Date.parse(String(at)), state.now) : never));
	if (!known(at)) return html`<span class="muted">${never}</span>`;
	return html`<time datetime=${at} title=${absolute(String(at))}>${words}</time>`;
}
