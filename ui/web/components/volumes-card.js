import { useEffect, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { bytes } from '../format.js';
import { html } from '../html.js';
import { Cli } from './cli.js';
import { Meter } from './meter.js';
import { Time } from './time.js';

const period = 10_000;

/** A forecast in words. @param {number} seconds */
function span(seconds) {
	const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600);
	if (days >= 2) return `${days} days`;
	if (hours >= 2) return `${hours} hours`;
	return seconds < 120 ? '1 minute' : `${Math.floor(seconds / 60)} minutes`;
}

/** What an app or a service keeps its data on, with its fill; nothing where there is none. @param {{mine: (volume: hks.Volume) => boolean, grow: (volume: hks.Volume) => string}} props */
export function VolumesCard({ mine, grow }) {
	const [all, setAll] = useState(/** @type {hks.Volume[]} */ ([]));
	useEffect(() => {
		let gone = false;
		const load = () => !document.hidden && api.volumes().then((list) => !gone && setAll(list || []), () => {}); // what is known stays
		void load();
		const timer = setInterval(load, period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, []);
	const volumes = all.filter(mine);
	if (volumes.length === 0) return null;
	return html`<section class="card" aria-labelledby="volumes-title">
		<header class="card-head"><h2 id="volumes-title">Volumes</h2><span class="muted">each a filesystem of its own, whose size is a wall</span></header>
		<div class="meters">${volumes.map((volume) => html`<${Meter} key=${volume.id} resource=${{ name: volume.name, unit: 'bytes', used: volume.usedBytes, limit: volume.usedBytes + volume.freeBytes }} />`)}</div>
		${volumes.filter((volume) => volume.fullInSeconds || volume.askedBytes || volume.message || volume.keptUntil).map((volume) => html`<p key=${volume.id} class="card-note muted">
			<strong>${volume.name}</strong> ${volume.fullInSeconds ? `is full in about ${span(volume.fullInSeconds)}, as it fills now. ` : ''}${volume.askedBytes ? `grows from ${bytes(volume.sizeBytes)} to ${bytes(volume.askedBytes)}. ` : ''}${volume.message || ''}
			${volume.keptUntil && html`is kept, and goes <${Time} at=${volume.keptUntil} />`}
		</p>`)}
		<${Cli} command=${grow(volumes[0])} />
	</section>`;
}
