import { number, quantity } from '../format.js';
import { html } from '../html.js';

/** @type {Record<string, string>} */
const names = { cpu: 'CPU', memory: 'Memory', storage: 'Storage', pods: 'Pods' };

/** @param {number} share */
const tone = (share) => (share >= 0.95 ? 'bad' : share >= 0.8 ? 'warn' : '');

/** One line of the quota. @param {{resource: hks.Resource}} props */
export function Meter({ resource }) {
	const { name, unit, used, limit } = resource;
	const share = limit > 0 ? used / limit : 0;
	const label = names[name] || name;
	const words = limit > 0 ? `${quantity(used, unit)} of ${quantity(limit, unit)}` : quantity(used, unit);
	return html`<div class="meter">
		<div class="meter-head"><span>${label}</span><span class="muted">${limit > 0 ? `${Math.round(share * 100)} %` : 'no limit'}</span></div>
		<progress class="bar ${tone(share)}" max="1" value=${Math.min(1, share)} aria-label=${`${label} quota`} aria-valuetext=${words}></progress>
		<div class="meter-foot"><strong>${unit === 'cores' && limit > 0 ? number(used) : quantity(used, unit)}</strong>${limit > 0 && html`<span class="muted"> of ${quantity(limit, unit)}</span>`}</div>
	</div>`;
}
