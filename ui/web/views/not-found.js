import { html } from '../html.js';
import { useTitle } from '../title.js';

export function NotFoundView() {
	useTitle('Not found');
	return html`<header class="page-head"><div><h1>There is no such screen</h1><p class="muted">The address may have been cut short. <a href="/">To the dashboard</a></p></div></header>`;
}
