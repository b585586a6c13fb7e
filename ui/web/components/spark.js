import { html } from '../html.js';

const width = 64;
const height = 18;

/**
 * A word-sized line of the last samples, from nothing to the highest.
 * @param {{values: number[]}} props
 */
export function Spark({ values }) {
	if (values.length < 2) return html`<svg class="spark" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;
	const top = Math.max(...values) * 1.15 || 1;
	const step = width / (values.length - 1);
	const points = values.map((value, i) => `${(i * step).toFixed(1)},${(height - 1.5 - (value / top) * (height - 3)).toFixed(1)}`).join(' ');
	return html`<svg class="spark" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
		<polygon points="0,${height} ${points} ${width},${height}" /><polyline points=${points} />
	</svg>`;
}
