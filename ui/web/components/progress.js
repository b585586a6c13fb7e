import { useEffect, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { imagesOf } from '../diff.js';
import { duration, known, sentence } from '../format.js';
import { html } from '../html.js';
import { putRelease, toast } from '../store.js';
import { Icon } from './icon.js';

/** The way of a release. @type {[string, string][]} */
const way = [['resolve', 'Find the image'], ['apply', 'Apply'], ['schedule', 'Find room'], ['pull', 'Pull'], ['start', 'Start'], ['ready', 'Get ready'], ['route', 'Open the route'], ['done', 'Serve']];
const order = way.map(([step]) => step);

/** @param {hks.Release} release */
function tellEnd({ app, number, status, failure }) {
	if (status === 'succeeded') toast({ kind: 'success', message: `Release ${number} of ${app} serves.` });
	if (status === 'failed') toast({ kind: 'error', message: `Release ${number} of ${app} failed.`, detail: sentence(failure?.message || '') });
}

/** Follows a release until it is done. @param {{release: hks.Release}} props */
export function ReleaseProgress({ release }) {
	const [seen, setSeen] = useState(/** @type {hks.Progress[]} */ ([]));
	const [now, setNow] = useState(Date.now());
	const { app, environment, number } = release;
	useEffect(() => {
		const ended = new AbortController();
		setSeen([]);
		const follow = async () => {
			while (!ended.signal.aborted) {
				try {
					await api.progress(app, environment, number, ended.signal, (progress) => {
						setSeen((before) => [...before.slice(-100), progress]);
						if (progress.release) putRelease(progress.release);
						if (progress.done && progress.release) tellEnd(progress.release);
					});
					return;
				} catch {
					await new Promise((resolve) => setTimeout(resolve, 2_000)); // it replays from the start
					setSeen([]);
				}
			}
		};
		void follow();
		return () => ended.abort();
	}, [app, environment, number]);
	useEffect(() => {
		const timer = setInterval(() => setNow(Date.now()), 1_000);
		return () => clearInterval(timer);
	}, []);

	const last = seen.at(-1);
	const failed = seen.some((progress) => progress.step === 'failed' || progress.step === 'rollback');
	const reached = Math.max(-1, ...seen.map((progress) => order.indexOf(progress.step)));
	const end = known(release.finishedAt) ? Date.parse(String(release.finishedAt)) : now;
	return html`<section class="card way" aria-labelledby="way-title">
		<header class="card-head">
			<h2 id="way-title">Release #${number} is on its way</h2>
			<code class="muted">${imagesOf(release.spec).join(', ')}</code><span class="spacer"></span>
			<span class="muted number">${duration(end - Date.parse(release.createdAt))}</span>
		</header>
		<ol class="steps">${way.map(([step, label], i) => {
			const state = i < reached || last?.step === 'done' ? 'past' : i === reached ? (failed ? 'failed' : 'now') : 'ahead';
			return html`<li key=${step} class=${state} aria-current=${state === 'now' ? 'step' : undefined}>
				<i aria-hidden="true">${state === 'past' && html`<${Icon} name="check" />`}${state === 'failed' && html`<${Icon} name="close" />`}</i><span>${label}</span>
			</li>`;
		})}</ol>
		<p class="card-note" role="status">${last ? sentence(last.message) : 'Accepted.'}</p>
	</section>`;
}
