import { useState } from '../vendor/hooks.js';
import { commands } from '../commands.js';
import { sentence, took } from '../format.js';
import { html } from '../html.js';
import { buildLink } from '../router.js';
import { useStore } from '../store.js';
import { Cli } from './cli.js';
import { BuildStatus } from './status.js';
import { Time } from './time.js';

const shownAtFirst = 5;

/** Builds, newest first: of one app, or with their apps' names. @param {{title: string, builds: hks.Build[], environment?: string}} props */
export function Builds({ title, builds, environment }) {
	const [all, setAll] = useState(false);
	const now = useStore((state) => state.now);
	const shown = all ? builds : builds.slice(0, shownAtFirst);
	return html`<section class="card" aria-labelledby="builds-title">
		<header class="card-head"><h2 id="builds-title">${title}</h2><span class="muted">a project's source, made into a release</span></header>
		${builds.length === 0 && environment && html`<div class="card-body"><p class="muted">None yet. In the folder of a project this sends its source to the appliance, which builds and releases it; <code>hks init</code> writes the file it needs.</p>
			<${Cli} command=${commands.deployProject(environment)} label="Build on the command line" /></div>`}
		${builds.length > 0 && html`<table class="plain" role="table" aria-label=${title}>
			<thead role="rowgroup"><tr role="row">${['Build', 'Status', 'From', 'Release', 'Took', 'By', 'When'].map((head) => html`<th role="columnheader" scope="col">${head}</th>`)}</tr></thead>
			<tbody role="rowgroup">${shown.map((build) => html`<tr role="row" key=${build.id}>
				<td role="cell" class="cell-name"><a class="row-link" href=${buildLink(build)}>#${build.id}</a>${!environment && html`${build.app} <span class="tag ${build.environment}">${build.environment}</span>`}</td>
				<td role="cell" class="cell-status"><${BuildStatus} status=${build.status} />${build.failure && html`<span class="reason" title=${build.failure.message}>${sentence(build.failure.message)}</span>`}</td>
				<td role="cell" data-label="From" class="breaks">${[...new Set((build.components || []).map((one) => one.from))].join(', ') || '–'}</td>
				<td role="cell" data-label="Release" class="number">${build.release ? `#${build.release}` : '–'}</td>
				<td role="cell" data-label="Took" class="number">${took(build, now) || '–'}</td>
				<td role="cell" data-label="By">${build.by}</td>
				<td role="cell" data-label="When" class="number"><${Time} at=${build.createdAt} /></td>
			</tr>`)}</tbody>
		</table>`}
		${shown.length < builds.length && html`<button type="button" class="button quiet wide" onClick=${() => setAll(true)}>Show all ${builds.length}</button>`}
	</section>`;
}
