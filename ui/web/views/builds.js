import { useMemo, useState } from '../vendor/hooks.js';
import { Builds } from '../components/builds.js';
import { Choice } from '../components/choice.js';
import { Cli } from '../components/cli.js';
import { Field } from '../components/field.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { useStore } from '../store.js';
import { useTitle } from '../title.js';

const any = 'any status';
const statuses = [any, 'pending', 'running', 'succeeded', 'failed', 'cancelled'];

/** All builds of all apps. */
export function BuildsView() {
	const builds = useStore((state) => state.builds);
	const [filter, setFilter] = useState('');
	const [status, setStatus] = useState(any);
	useTitle('Builds');
	const shown = useMemo(() => {
		const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
		return (builds || []).filter((build) => (status === any || build.status === status)
			&& words.every((word) => `#${build.id} ${build.app} ${build.environment} ${build.by} ${(build.components || []).map((one) => `${one.name} ${one.from}`).join(' ')}`.toLowerCase().includes(word)));
	}, [builds, filter, status]);
	return html`
		<header class="page-head"><div><h1>Builds</h1><p class="muted">Source made into images and releases, of all apps.</p></div></header>
		<section class="card" aria-label="Filter">
			<div class="filters">
				<${Field} label="Filter" value=${filter} onValue=${setFilter} input=${{ type: 'search', placeholder: 'app, environment, who' }} />
				<${Choice} label="Status" value=${status} onValue=${setStatus} options=${statuses} />
				<${Cli} command="hks build list" />
			</div>
		</section>
		${builds && builds.length === 0 && html`<p class="card-note muted">None yet. <code>hks deploy</code> in the folder of a project makes the first.</p>`}
		${builds && builds.length > 0 && shown.length === 0 && html`<p class="card-note muted" role="status">None of ${count(builds.length, 'build')} fits.</p>`}
		${shown.length > 0 && html`<${Builds} title=${`${count(shown.length, 'build')}`} builds=${shown} />`}`;
}
