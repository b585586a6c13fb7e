import { useId } from '../vendor/hooks.js';
import { html } from '../html.js';

/**
 * A labelled choice of one of a few words.
 * @param {{label: string, value: string, onValue: (value: string) => void, options: string[], autofocus?: boolean}} props
 */
export function Choice({ label, value, onValue, options, autofocus }) {
	const id = useId();
	return html`<div class="field">
		<label for=${id}>${label}</label>
		<select id=${id} value=${value} autofocus=${autofocus} onChange=${(/** @type {any} */ event) => onValue(event.target.value)}>
			${options.map((option) => html`<option value=${option} selected=${option === value}>${option}</option>`)}
		</select>
	</div>`;
}
