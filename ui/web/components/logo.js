import { html } from '../html.js';

/** The mark: an h that is also a small machine with one door. */
export function Logo() {
	return html`<svg class="logo" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
		<rect class="logo-ground" width="24" height="24" rx="6.5" />
		<path class="logo-line" d="M7.5 5.5v13M7.5 12.2c1-2 2.6-3 4.6-3 2.6 0 4.4 1.6 4.4 4.4v4.9" />
	</svg>`;
}
