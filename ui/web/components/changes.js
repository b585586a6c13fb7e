import { shortDigest } from '../format.js';
import { html } from '../html.js';

/**
 * What goes from what to what. The component is named where there are several.
 * @param {{changes: hks.Change[], several: boolean, label: string}} props
 */
export function Changes({ changes, several, label }) {
	const show = (/** @type {hks.Change} */ change, /** @type {string} */ value) => (change.field === 'digest' ? shortDigest(value) : value);
	return html`<ul class="changes" aria-label=${label}>${changes.map((change) => html`<li>
		<span class="change-what">${several && change.component && html`<strong>${change.component}</strong> `}${change.field}</span>
		${change.from ? html`<del>${show(change, change.from)}</del>` : html`<span class="muted">none</span>`}
		<span class="muted" aria-hidden="true">→</span><span class="hidden">becomes</span>
		${change.to ? html`<ins>${show(change, change.to)}</ins>` : html`<span class="muted">none</span>`}
	</li>`)}</ul>`;
}
