import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { BackupTargetCard } from '../components/backup-target.js';
import { Cli } from '../components/cli.js';
import { Field } from '../components/field.js';
import { FormDialog } from '../components/form-dialog.js';
import { Icon } from '../components/icon.js';
import { Problem } from '../components/problem.js';
import { chartReady, chartValues, ServiceForm } from '../components/service-form.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { bytes } from '../format.js';
import { html } from '../html.js';
import { atWork, marketApi, marketCommands, useKeptFresh } from '../market.js';
import { navigate } from '../router.js';
import { useTitle } from '../title.js';

/** What is installed, and what can be. */
export function MarketView() {
	const [catalogue, setCatalogue] = useState(/** @type {hks.CatalogueEntry[]} */ ([]));
	const [chosen, setChosen] = useState('');
	const { value: services, error, again } = useKeptFresh(() => marketApi.services().then((list) => list || []), (list) => list.some(atWork), 'services');
	useTitle('Services');
	useEffect(() => void marketApi.catalogue().then((list) => setCatalogue(list || []), tell), []);
	return html`
		<header class="page-head"><div><h1>Services</h1><p class="muted">Databases and what else apps need, each with a volume of its own and backups that are proved.</p></div></header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`}
		${services && services.length > 0 && html`<section class="card" aria-labelledby="installed-title">
			<header class="card-head"><h2 id="installed-title">Installed</h2></header>
			<${ServiceTable} services=${services} />
		</section>`}
		<section class="card" aria-labelledby="catalogue-title">
			<header class="card-head"><h2 id="catalogue-title">Catalogue</h2></header>
			<table class="plain" role="table" aria-label="Catalogue">
				<thead role="rowgroup"><tr role="row">${['Name', 'Version', 'What it is', ''].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
				<tbody role="rowgroup">${catalogue.map((entry) => html`<tr role="row" key=${entry.name}>
					<td role="cell" class="cell-name"><strong>${entry.title}</strong>${entry.own && html` <span class="tag">your own</span>`}</td>
					<td role="cell" data-label="Version">${entry.appVersion || entry.version}</td>
					<td role="cell" class="cell-wide">${entry.description}</td>
					<td role="cell"><button type="button" class="button small" aria-label=${`Install ${entry.title}`} onClick=${() => setChosen(entry.name)}><${Icon} name="plus" />Install</button></td>
				</tr>`)}</tbody>
			</table>
			<div class="card-body"><p class="muted">A chart of your own is installed from its folder:</p><${Cli} command="hks market install ./chart NAME" label="Install an own chart" /></div>
		</section>
		<${BackupTargetCard} />
		${chosen && html`<${InstallServiceDialog} chart=${chosen} onClose=${() => setChosen('')} />`}`;
}

/** @param {{services: hks.Service[]}} props */
function ServiceTable({ services }) {
	return html`<table class="plain" role="table" aria-label="Services">
		<thead role="rowgroup"><tr role="row">${['Service', 'Is', 'Status', 'Storage', 'Bound to', 'Last backup'].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
		<tbody role="rowgroup">${services.map((service) => html`<tr role="row" key=${service.name}>
			<td role="cell" class="cell-name"><a href=${`/services/${service.name}`}><strong>${service.name}</strong></a></td>
			<td role="cell" data-label="Is">${service.title} ${service.appVersion}</td>
			<td role="cell" data-label="Status"><${Status} status=${service.status} />${service.reason && html`<span class="reason muted">${service.reason}</span>`}</td>
			<td role="cell" data-label="Storage" class="number">${bytes(service.storageBytes)}</td>
			<td role="cell" data-label="Bound to">${service.bindings.map((one) => html`<span class="tag" key=${one.app + one.environment}>${one.app}/${one.environment}</span> `)}</td>
			<td role="cell" data-label="Last backup"><${Time} at=${service.lastBackup?.createdAt} never="none" /></td>
		</tr>`)}</tbody>
	</table>`;
}

/** @param {{chart: string, onClose: () => void}} props */
function InstallServiceDialog({ chart, onClose }) {
	const [entry, setEntry] = useState(/** @type {hks.CatalogueEntry | null} */ (null));
	const [name, setName] = useState(chart === 'postgresql' ? 'db' : chart);
	const [typed, setTyped] = useState(/** @type {Record<string, string>} */ ({}));
	useEffect(() => void marketApi.entry(chart).then(setEntry, (cause) => { onClose(); tell(cause); }), [chart]);
	if (!entry) return null;
	const values = chartValues(entry, typed);
	const good = /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) && name.length <= 40;
	const run = async () => {
		await marketApi.install(name, chart, values);
		navigate(`/services/${name}`);
	};
	return html`<${FormDialog} title=${`Install ${entry.title}`} action="Install" command=${marketCommands.install(name, chart, values)} run=${run}
		ready=${good && chartReady(entry, typed)} onClose=${onClose}>
		<p>${entry.description}${entry.env && entry.env.length > 0 ? html` An app that is bound to it gets <code>${entry.env[0]}</code>.` : ''}</p>
		<${Field} label="Name" value=${name} onValue=${setName} hint="Apps reach it under this name." problem=${good ? '' : 'Small letters, digits and dashes, beginning with a letter.'} input=${{ autofocus: true }} />
		<${ServiceForm} entry=${entry} typed=${typed} onTyped=${setTyped} />
	</${FormDialog}>`;
}
