import { useId } from '../vendor/hooks.js';
import { html } from '../html.js';

/**
 * A labelled input with a hint, or with what is wrong.
 * @param {{label: string, value: string, onValue: (value: string) => void, hint?: any, problem?: string, type?: string,
 *   class?: string, optional?: boolean, input?: Record<string, any>}} props
 */
export function Field({ label, value, onValue, hint, problem, type = 'text', optional, input = {}, class: extra = '' }) {
	const id = useId();
	const told = problem || hint;
	return html`<div class="field ${extra}">
		<label for=${id}>${label}${optional && html` <span class="muted">optional</span>`}</label>
		<input id=${id} type=${type} value=${value} aria-invalid=${problem ? 'true' : undefined} aria-describedby=${told ? `${id}-told` : undefined}
			spellcheck=${false} autocapitalize="off" autocomplete="off" ...${input}
			onInput=${(/** @type {any} */ event) => onValue(event.target.value)} />
		${told && html`<p id="${id}-told" class=${problem ? 'field-problem' : 'field-hint'}>${told}</p>`}
	</div>`;
}
