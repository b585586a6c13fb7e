import { html } from '../html.js';
import { Logo } from './logo.js';

/** The frame of what comes before the log-in. @param {{title: string, step?: string, children?: any}} props */
export function Outside({ title, step, children }) {
	return html`<main class="outside" id="main">
		<div class="outside-card">
			<header><${Logo} /><span class="outside-product">hks</span>${step && html`<span class="muted outside-step">Step ${step}</span>`}</header>
			<h1>${title}</h1>
			${children}
		</div>
	</main>`;
}
