import { html } from '../html.js';
import { sentence } from '../format.js';

/**
 * Between how many instances the load decides, what was measured last, and why
 * it can't be followed.
 * @param {{one: hks.ComponentState}} props
 */
export function Autoscale({ one }) {
	const scale = one.autoscale;
	if (!scale) return null;
	const measured = scale.now === undefined ? 'CPU not measured yet' : `CPU ${scale.now} of ${scale.cpu} %`;
	return html`<span class="autoscale ${scale.reason ? 'short' : 'muted'}" title=${scale.reason ? sentence(scale.reason) : 'follows the load'}>${scale.min} to ${scale.max}, ${measured}${scale.reason && html`<span class="autoscale-reason">${sentence(scale.reason)}</span>`}</span>`;
}
