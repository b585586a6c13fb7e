import { bytes, cores, sampled, sentence } from '../format.js';
import { html } from '../html.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** @param {{app: hks.App}} props */
export function Instances({ app }) {
	const instances = app.instances || [];
	const several = app.components.length > 1;
	const titles = ['Instance', ...(several ? ['Component'] : []), 'Phase', 'Release', 'CPU', 'Memory', 'Restarts', 'Node', 'Started'];
	return html`<section class="card" aria-labelledby="instances-title">
		<header class="card-head"><h2 id="instances-title">Instances</h2><span class="muted">${app.ready} of ${app.replicas} ready</span></header>
		${instances.length === 0
			? html`<p class="card-note muted">${app.status === 'stopped' ? 'None: the app is stopped.' : 'None yet.'}</p>`
			: html`<table class="plain" role="table" aria-label="Instances">
				<thead role="rowgroup"><tr role="row">${titles.map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
				<tbody role="rowgroup">${instances.map((instance) => html`<tr role="row" key=${instance.name}>
					<td role="cell" class="cell-wide mono">${instance.name}</td>
					${several && html`<td role="cell" data-label="Component">${instance.component}</td>`}
					<td role="cell" class="cell-wide"><${Status} status=${instance.phase} />${instance.reason && instance.reason !== instance.phase && html`<span class="reason">${sentence(instance.reason)}</span>`}</td>
					<td role="cell" data-label="Release" class="number">#${instance.release}</td>
					<td role="cell" data-label="CPU" class="number">${sampled(instance.usage) ? cores(instance.usage.cpu) : '–'}</td>
					<td role="cell" data-label="Memory" class="number">${sampled(instance.usage) ? bytes(instance.usage.memory) : '–'}</td>
					<td role="cell" data-label="Restarts" class="number ${instance.restarts > 0 ? 'short' : ''}">${instance.restarts}</td>
					<td role="cell" data-label="Node">${instance.node || '–'}</td>
					<td role="cell" data-label="Started"><${Time} at=${instance.startedAt} never="not yet" /></td>
				</tr>`)}</tbody>
			</table>`}
	</section>`;
}
