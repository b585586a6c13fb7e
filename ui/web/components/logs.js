import { useEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { absolute, clock, plain } from '../format.js';
import { html } from '../html.js';
import { Cli } from './cli.js';
import { useFollow } from './follow.js';
import { Icon } from './icon.js';
import { marked } from './marked.js';
import { Problem } from './problem.js';

/** @typedef {hks.LogLine & {id: number}} Line */

const kept = 5_000;
const drawn = 1_000;
const tail = 200;
const colours = 6;
const reconnect = 2_000;

/** Logs as they come. @param {{app: hks.App}} props */
export function Logs({ app }) {
	const [lines, setLines] = useState(/** @type {Line[]} */ ([]));
	const [state, setState] = useState(/** @type {'connecting' | 'live' | 'ended' | 'reconnecting'} */ ('connecting'));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [paused, setPaused] = useState(false);
	const [previous, setPrevious] = useState(false);
	const [component, setComponent] = useState(''); // empty: all
	const [filter, setFilter] = useState('');
	const [attempt, setAttempt] = useState(0);
	const held = useRef(/** @type {Line[]} */ ([]));
	const newest = useRef(/** @type {Record<string, string>} */ ({})); // time of the last line, by instance
	const number = useRef(0);
	const pausedNow = useRef(paused);
	pausedNow.current = paused;

	useEffect(() => {
		const ended = new AbortController();
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let retry;
		let frame = 0;
		setError(null);
		setState('connecting');
		/** @type {Record<string, string>} */
		const fresh = {};
		const show = () => {
			frame = 0;
			if (pausedNow.current) return;
			const more = held.current.splice(0);
			setLines((before) => [...before, ...more].slice(-kept));
		};
		const onLine = (/** @type {hks.LogLine} */ line) => {
			setState('live');
			if ((newest.current[line.instance] || '') >= line.time) return; // seen before the stream was cut
			fresh[line.instance] = line.time;
			held.current.push({ ...line, text: plain(line.text), id: ++number.current });
			if (held.current.length > kept) held.current.shift();
			frame ||= window.setTimeout(show, 50); // many lines, one drawing
		};
		const opened = setTimeout(() => setState((state) => (state === 'connecting' ? 'live' : state)), 600);
		api.logs(app.name, app.environment, { follow: !previous, previous, tail, component }, ended.signal, onLine)
			.then(() => {
				if (ended.signal.aborted) return;
				setState('ended');
				if (!previous && app.status !== 'stopped') retry = setTimeout(() => setAttempt((n) => n + 1), reconnect);
			})
			.catch((cause) => {
				if (ended.signal.aborted) return;
				if (cause instanceof ApiError && (cause.status === 0 || cause.code === 'CLUSTER_UNAVAILABLE')) {
					setState('reconnecting');
					retry = setTimeout(() => setAttempt((n) => n + 1), reconnect);
				} else {
					setState('ended');
					setError(cause);
				}
			});
		return () => {
			ended.abort();
			Object.assign(newest.current, fresh);
			clearTimeout(retry);
			clearTimeout(opened);
			clearTimeout(frame);
		};
	}, [previous, component, attempt, app.status === 'stopped']);
	useEffect(() => {
		if (app.ready > 0 && lines.length === 0 && !previous) setAttempt((n) => n + 1); // the stream may have begun before the instance
	}, [app.ready > 0]);

	const clear = () => {
		newest.current = {};
		held.current = [];
		setLines([]);
		setPaused(false);
	};
	const switchPrevious = () => {
		clear();
		setPrevious(!previous);
	};
	const choose = (/** @type {string} */ chosen) => {
		clear();
		setComponent(chosen);
	};
	const resume = () => {
		setPaused(false);
		setLines((before) => [...before, ...held.current.splice(0)].slice(-kept));
	};
	const shown = useMemo(() => {
		const word = filter.toLowerCase();
		return (word ? lines.filter((line) => line.text.toLowerCase().includes(word)) : lines).slice(-drawn);
	}, [lines, filter]);
	const { view, onScroll, toEnd } = useFollow(shown, paused);

	const several = useMemo(() => [...new Set(lines.map((line) => line.instance))], [lines]);
	const components = app.components.map((one) => one.name);
	/** @type {Record<string, string>} */
	const componentOf = components.length > 1 && !component ? Object.fromEntries((app.instances || []).map((one) => [one.name, one.component])) : {};
	return html`<section class="card logs" aria-labelledby="logs-title">
		<header class="card-head">
			<h2 id="logs-title">Logs</h2>
			<span class="connection ${paused ? 'paused' : state}" role="status"><i class="dot" aria-hidden="true"></i><span>${paused ? 'Paused' : words(state, previous)}</span></span>
			<span class="spacer"></span>
			${components.length > 1 && html`<label class="pick"><span class="hidden">Component of the log lines</span>
				<select value=${component} onChange=${(/** @type {any} */ event) => choose(event.target.value)}>
					<option value="">All components</option>
					${components.map((name) => html`<option value=${name}>${name}</option>`)}
				</select></label>`}
			<label class="search small"><${Icon} name="search" /><span class="hidden">Filter log lines</span>
				<input type="search" placeholder="Filter" value=${filter} onInput=${(/** @type {any} */ event) => setFilter(event.target.value)} /></label>
			<button type="button" class="button small" aria-pressed=${previous ? 'true' : 'false'} title="Of the container before the last restart" onClick=${switchPrevious}>Previous</button>
			${!previous && (paused
				? html`<button type="button" class="button small" onClick=${resume}><${Icon} name="play" />Resume</button>`
				: html`<button type="button" class="button small" onClick=${() => setPaused(true)}><${Icon} name="pause" />Pause</button>`)}
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${() => setAttempt(attempt + 1)} />`}
		<div class="terminal-frame">
			<div class="terminal ${lines.length === 0 ? 'bare' : ''}" ref=${view} onScroll=${onScroll} tabindex="0" role="log" aria-live="off" aria-label="Log lines">
				${shown.map((line) => html`<${LogRow} key=${line.id} line=${line} filter=${filter} which=${several.length > 1 ? several.indexOf(line.instance) : -1} component=${componentOf[line.instance] || ''} />`)}
				${shown.length === 0 && html`<p class="terminal-empty">${filter ? `No line has “${filter}”.` : state === 'connecting' ? 'Asking for the last lines…' : previous ? 'No earlier container has left any lines.' : app.status === 'stopped' ? 'The app is stopped: nothing writes.' : 'No lines yet.'}</p>`}
			</div>
			${toEnd}
		</div>
		<${Cli} command=${commands.logs(app, { follow: true, previous, component })} />
	</section>`;
}

/** @param {string} state @param {boolean} previous */
function words(state, previous) {
	if (state === 'live') return previous ? 'Reading' : 'Following';
	if (state === 'ended') return previous ? 'Of the container before' : 'Ended';
	return state === 'reconnecting' ? 'Reconnecting' : 'Connecting';
}

/** @param {{line: Line, filter: string, which: number, component: string}} props */
function LogRow({ line, filter, which, component }) {
	const tone = /\b(error|fatal|panic|exception)\b/i.test(line.text) ? 'bad' : /\bwarn(ing)?\b/i.test(line.text) ? 'warn' : '';
	return html`<div class="log ${tone}">
		<time datetime=${line.time} title=${absolute(line.time)}>${clock(line.time)}</time>
		${which >= 0 && html`<span class="log-from from-${which % colours}" title=${line.instance}>${component && `${component} `}${line.instance.split('-').at(-1)}</span>`}
		<span class="log-text">${marked(line.text, filter)}</span>
	</div>`;
}
