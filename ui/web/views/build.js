import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { ActionButton } from '../components/action-button.js';
import { BuildLog } from '../components/build-log.js';
import { CopyButton } from '../components/copy-button.js';
import { Icon } from '../components/icon.js';
import { Problem } from '../components/problem.js';
import { BuildStatus } from '../components/status.js';
import { Time } from '../components/time.js';
import { commands } from '../commands.js';
import { shortDigest, took } from '../format.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { isOver, openDialog, putBuild, useStore } from '../store.js';
import { useTitle } from '../title.js';

/** One build: how far it is, what came of it, and its log. @param {{name: string}} props the build's number */
export function BuildView({ name }) {
	const id = Number(name);
	const build = useStore((state) => state.builds?.find((one) => one.id === id));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [attempt, setAttempt] = useState(0);
	useTitle(`Build ${id}`);
	useEffect(() => {
		setError(null);
		api.build(id).then(putBuild, (cause) => {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		});
	}, [id, attempt]);
	if (!build) {
		return html`<header class="page-head"><h1>Build ${id}</h1></header>
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${error.status === 404 ? undefined : () => setAttempt(attempt + 1)} />`}`;
	}
	const { failure, components } = build;
	return html`<${Head} build=${build} />
		${failure && html`<${Problem} message=${failure.message} fix=${failure.fix} code=${failure.code} />`}
		${components && components.length > 0 && html`<${Made} components=${components} />`}
		<${BuildLog} build=${build} />`;
}

/** @param {{build: hks.Build}} props */
function Head({ build }) {
	const now = useStore((state) => state.now);
	const app = appLink({ name: build.app, environment: build.environment });
	const cancel = { id: 'cancel', label: 'Cancel', icon: 'stop', cli: commands.cancelBuild(build), run: () => openDialog({ kind: 'cancel-build', build }) };
	const time = took(build, now);
	return html`<p><a class="back" href=${app}><${Icon} name="back" />${build.app}</a></p>
		<header class="app-head">
			<div class="app-title"><h1>Build ${build.id}</h1><span class="tag ${build.environment}">${build.environment}</span><${BuildStatus} status=${build.status} /></div>
			<p class="app-facts muted">
				<span>of <strong>${build.app}</strong> by ${build.by}, <${Time} at=${build.createdAt} /></span>
				${build.status === 'pending' ? html`<span>waits for its turn</span>` : time && html`<span>${isOver(build.status) ? 'took' : 'at work for'} <strong>${time}</strong></span>`}
				${build.release && html`<span>made <a href=${app}>release #${build.release}</a></span>`}
			</p>
			${!isOver(build.status) && html`<div class="actions"><${ActionButton} action=${cancel} /></div>`}
		</header>`;
}

/** What is made so far. @param {{components: hks.BuildComponent[]}} props */
function Made({ components }) {
	const tested = components.some((one) => one.tested);
	return html`<section class="card" aria-labelledby="made-title">
		<header class="card-head"><h2 id="made-title">Components</h2></header>
		<table class="plain" role="table" aria-label="Components">
			<thead role="rowgroup"><tr role="row">${['Component', 'From', 'Image', ...(tested ? ['Tests'] : [])].map((head) => html`<th role="columnheader" scope="col">${head}</th>`)}</tr></thead>
			<tbody role="rowgroup">${components.map((one) => html`<tr role="row" key=${one.name}>
				<td role="cell" class="cell-name"><strong>${one.name}</strong></td>
				<td role="cell" data-label="From" class="breaks">${one.from}</td>
				<td role="cell" class="cell-wide breaks" title=${one.image}>${one.digest ? html`<code>${shortDigest(one.digest)}</code><${CopyButton} text=${one.image} what="image" />` : html`<code>${one.image}</code>`}</td>
				${tested && html`<td role="cell" data-label="Tests">${one.tested ? 'passed' : '–'}</td>`}
			</tr>`)}</tbody>
		</table>
	</section>`;
}
