import { copy } from '../clipboard.js';
import { commands } from '../commands.js';
import { bytes, cores, sampled, scaleOf, shortURL } from '../format.js';
import { html } from '../html.js';
import { openDialog } from '../store.js';
import { Autoscale } from './autoscale.js';
import { Icon } from './icon.js';

/** What an app of several components is made of. @param {{app: hks.App}} props */
export function ComponentTable({ app }) {
	return html`<section class="card" aria-labelledby="components-title">
		<header class="card-head"><h2 id="components-title">Components</h2><span class="muted">released together</span></header>
		<table class="plain" role="table" aria-label="Components">
			<thead role="rowgroup"><tr role="row">${['Component', 'Image', 'Address', 'Ready', 'CPU', 'Memory'].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}
				<th role="columnheader" scope="col"><span class="hidden">Scale</span></th></tr></thead>
			<tbody role="rowgroup">${app.components.map((one) => html`<${Row} key=${one.name} app=${app} one=${one} />`)}</tbody>
		</table>
	</section>`;
}

/** @param {{app: hks.App, one: hks.ComponentState}} props */
function Row({ app, one }) {
	const used = one.ready > 0 && sampled(one.usage);
	const short = app.status !== 'stopped' && one.ready < one.replicas;
	const command = commands.scale(app, scaleOf(one), one.name);
	return html`<tr role="row">
		<td role="cell" class="cell-wide"><strong>${one.name}</strong></td>
		<td role="cell" class="cell-wide breaks" title=${one.digest}><code>${one.image}</code></td>
		<td role="cell" class="cell-url">${one.url
			? html`<a href=${one.url} target="_blank" rel="noopener" title=${one.url}><span>${shortURL(one.url)}</span><${Icon} name="external" /></a>`
			: html`<span class="muted">${one.port ? `internal, port ${one.port}` : 'worker, nothing listens'}</span>`}</td>
		<td role="cell" data-label="Ready" class="number ${short ? 'short' : ''}">${one.ready}/${one.replicas}<${Autoscale} one=${one} /></td>
		<td role="cell" data-label="CPU" class="number">${used ? cores(one.usage.cpu) : '–'}</td>
		<td role="cell" data-label="Memory" class="number">${used ? bytes(one.usage.memory) : '–'}</td>
		<td role="cell" class="cell-end">${app.status !== 'stopped' && app.status !== 'deleting' && html`<span class="split" role="group" aria-label=${`Scale ${one.name}`}>
			<button type="button" class="button small" aria-label=${`Scale ${one.name}`} onClick=${() => openDialog({ kind: 'scale', app, component: one.name })}><${Icon} name="scale" />Scale</button>
			<button type="button" class="button small twin" aria-label=${`Copy command: ${command}`} data-tip=${command} onClick=${() => copy(command, 'Command')}><${Icon} name="terminal" /></button>
		</span>`}</td>
	</tr>`;
}
