import { useEffect, useRef } from '../vendor/hooks.js';
import { html } from '../html.js';
import { dismiss, useStore } from '../store.js';
import { Icon } from './icon.js';

/** Short notices, above everything. */
export function Toasts() {
	const toasts = useStore((state) => state.toasts);
	const ref = useRef(/** @type {HTMLElement | null} */ (null));
	useEffect(() => {
		const box = ref.current;
		if (!box?.showPopover) return;
		if (box.matches(':popover-open')) box.hidePopover();
		if (toasts.length > 0) box.showPopover(); // again, to lie above a window opened since
	}, [toasts]);
	return html`<div ref=${ref} class="toasts" popover="manual" role="log" aria-live="polite" aria-label="Notices">
		${toasts.map((toast) => html`<div key=${toast.id} class="toast ${toast.kind}">
			<${Icon} name=${toast.kind === 'error' ? 'error' : toast.kind === 'success' ? 'check' : 'arrow'} />
			<div class="toast-text"><p>${toast.message}</p>${toast.detail && html`<p class="muted">${toast.detail}</p>`}</div>
			${toast.action && html`<button type="button" class="button small" onClick=${toast.action.run}>${toast.action.label}</button>`}
			<button type="button" class="icon-button" aria-label="Dismiss" onClick=${() => dismiss(toast.id)}><${Icon} name="close" /></button>
		</div>`)}
	</div>`;
}
