import { html } from '../html.js';

/** Of the certificate, for comparing with what the machine printed. @param {{value: string}} props */
export function Fingerprint({ value }) {
	return html`<details class="fingerprint">
		<summary>Is this my machine?</summary>
		<p>The certificate's fingerprint must be the one that was printed when the appliance started:</p>
		<code>${value}</code>
	</details>`;
}
