import { useEffect, useMemo, useReducer, useRef, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { absolute, clock, duration, sentence } from '../format.js';
import { html } from '../html.js';
import { isOver, putBuild } from '../store.js';
import { Cli } from './cli.js';
import { useFollow } from './follow.js';
import { Icon } from './icon.js';
import { marked } from './marked.js';
import { Problem } from './problem.js';

/** @typedef {{id: number, component: string, name: string, state: string, began: string, took: string, lines: hks.BuildLine[]}} Step a line of hks's own is one without a name */

const drawn = 500; // lines of one step
const colours = 6;
const reconnect = 2_000;

/** Steps go on side by side: a line belongs to the newest of its name. @param {Step[]} steps @param {hks.BuildLine} line */
function add(steps, line) {
	const { kind, component = '', step: name = '', text = '', time } = line;
	let step = name ? steps.findLast((one) => one.name === name && one.component === component) : undefined;
	const again = step && step.state !== 'running' && (kind === 'started' || kind === 'cached'); // as after the tests
	if (!step || again) steps.push(step = { id: steps.length, component, name, state: name ? 'running' : kind, began: time, took: '', lines: [] });
	if (kind === 'done') step.took = text;
	if (name && ['done', 'cached', 'failed'].includes(kind)) step.state = kind;
	if (text && kind !== 'done') step.lines.push(line);
}

/** The log of a build by its steps, as it comes. @param {{build: hks.Build}} props */
export function BuildLog({ build }) {
	const [state, setState] = useState(/** @type {'connecting' | 'live' | 'ended' | 'reconnecting'} */ ('connecting'));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [paused, setPaused] = useState(false);
	const [filter, setFilter] = useState('');
	const [chosen, setChosen] = useState(/** @type {Record<number, boolean>} */ ({})); // steps that were opened or closed by hand
	const [attempt, setAttempt] = useState(0);
	const [now, setNow] = useState(Date.now());
	const [version, draw] = useReducer((/** @type {number} */ n) => n + 1, 0);
	const steps = useRef(/** @type {Step[]} */ ([]));
	const held = useRef(/** @type {hks.BuildLine[]} */ ([]));
	const count = useRef(0);
	const wanted = useRef(Number(/^#L([1-9]\d*)$/.exec(location.hash)?.[1] || 0)); // the line that a link is to
	const pausedNow = useRef(paused);
	pausedNow.current = paused;
	const over = isOver(build.status);
	const take = () => {
		for (const line of held.current.splice(0)) add(steps.current, line);
		draw(0);
	};

	useEffect(() => {
		const ended = new AbortController();
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let retry;
		let frame = 0;
		steps.current = [];
		held.current = [];
		count.current = 0;
		setError(null);
		const show = () => {
			frame = 0;
			if (!pausedNow.current) take();
		};
		const opened = setTimeout(() => setState('live'), 600);
		api.buildLog(build.id, ended.signal, (line) => {
			setState('live');
			if (line.build) putBuild(line.build);
			count.current++;
			held.current.push({ ...line, place: count.current });
			frame ||= window.setTimeout(show, 50); // many lines, one drawing
		}).then(() => !ended.signal.aborted && setState('ended'), (cause) => {
			if (ended.signal.aborted) return;
			if (!(cause instanceof ApiError) || cause.status !== 0) {
				setState('ended');
				return setError(cause);
			}
			setState('reconnecting'); // it begins from the start
			retry = setTimeout(() => setAttempt((n) => n + 1), reconnect);
		}).finally(() => clearTimeout(opened));
		return () => {
			ended.abort();
			for (const timer of [retry, opened, frame]) clearTimeout(timer);
		};
	}, [build.id, attempt]);
	useEffect(() => {
		if (over) return;
		const timer = setInterval(() => setNow(Date.now()), 1_000);
		return () => clearInterval(timer);
	}, [over]);

	const word = filter.toLowerCase();
	const shown = useMemo(() => steps.current.map((step) => ({
		step, lines: word ? step.lines.filter((line) => String(line.text).toLowerCase().includes(word)) : step.lines,
	})).filter(({ step, lines }) => !word || lines.length > 0 || step.name.toLowerCase().includes(word)), [version, word]);
	const components = useMemo(() => [...new Set(steps.current.map((step) => step.component).filter(Boolean))], [version]);
	const { view, onScroll, toEnd } = useFollow(shown, paused);
	const resume = () => {
		setPaused(false);
		take();
	};
	useEffect(() => {
		const line = wanted.current && document.getElementById(`L${wanted.current}`);
		if (!line) return;
		wanted.current = 0;
		line.scrollIntoView({ block: 'center' });
		line.querySelector('a')?.focus({ preventScroll: true });
	});
	const linked = (/** @type {Step} */ step) => wanted.current > 0 && step.lines.some((line) => line.place === wanted.current);
	const from = (/** @type {string} */ name) => components.length > 1 && name && html`<span class="log-from from-${components.indexOf(name) % colours}">${name}</span>`;
	return html`<section class="card logs" aria-labelledby="log-title">
		<header class="card-head">
			<h2 id="log-title">Log</h2>
			<span class="connection ${paused ? 'paused' : state}" role="status"><i class="dot" aria-hidden="true"></i><span>${paused ? 'Paused' : state === 'live' ? 'Following' : sentence(state)}</span></span>
			<span class="spacer"></span>
			<label class="search small"><${Icon} name="search" /><span class="hidden">Filter log lines</span>
				<input type="search" placeholder="Filter" value=${filter} onInput=${(/** @type {any} */ event) => setFilter(event.target.value)} /></label>
			${paused
				? html`<button type="button" class="button small" onClick=${resume}><${Icon} name="play" />Resume</button>`
				: !over && html`<button type="button" class="button small" onClick=${() => setPaused(true)}><${Icon} name="pause" />Pause</button>`}
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${() => setAttempt(attempt + 1)} />`}
		<div class="terminal-frame">
			<div class="terminal tall ${steps.current.length === 0 ? 'bare' : ''}" ref=${view} onScroll=${onScroll} tabindex="0" role="log" aria-live="off" aria-label="Log lines">
				${shown.map(({ step, lines }) => (step.name
					? html`<${StepRow} key=${step.id} step=${step} lines=${lines} word=${filter} from=${from(step.component)} now=${over ? 0 : now}
						open=${chosen[step.id] ?? (word !== '' || linked(step) || step.state === 'failed' || step.state === 'running')} choose=${(/** @type {boolean} */ open) => setChosen({ ...chosen, [step.id]: open })} />`
					: lines.map((line) => html`<${Row} key=${step.id} line=${line} word=${filter} from=${from(step.component)} />`)))}
				${shown.length === 0 && html`<p class="terminal-empty">${filter ? `No line has “${filter}”.` : build.status === 'pending' ? 'It waits for its turn.' : 'No lines yet.'}</p>`}
			</div>
			${toEnd}
		</div>
		<${Cli} command=${commands.buildLogs(build)} />
	</section>`;
}

/** @param {{step: Step, lines: hks.BuildLine[], word: string, from: any, now: number, open: boolean, choose: (open: boolean) => void}} props now is 0 once the build is over */
function StepRow({ step, lines, word, from, now, open, choose }) {
	const { name, state, took, began } = step;
	const words = state === 'running' ? (now ? duration(now - Date.parse(began)) : 'stopped') : took || state;
	const hides = lines.length - drawn;
	return html`<div class="step ${state}">
		<button type="button" class="step-head" disabled=${lines.length === 0} aria-expanded=${open && lines.length > 0 ? 'true' : 'false'} onClick=${() => choose(!open)}>
			<${Icon} name="chevron" /><i>${state === 'running' ? now > 0 && html`<span class="pulse"></span>` : html`<${Icon} name=${state === 'failed' ? 'close' : 'check'} />`}</i>
			${from}<span class="step-name">${marked(name, word)}</span><span class="number">${words}</span>
		</button>
		${open && hides > 0 && html`<p class="terminal-empty">${hides} lines before these are in the whole log.</p>`}
		${open && lines.slice(-drawn).map((line) => html`<${Row} line=${line} word=${word} />`)}
	</div>`;
}

/** @param {{line: hks.BuildLine, word: string, from?: any}} props */
function Row({ line, word, from }) {
	const tone = line.kind === 'failed' || line.build?.failure ? 'bad' : line.kind === 'warning' ? 'warn' : line.kind;
	return html`<div class="log ${tone}" id=${line.place ? `L${line.place}` : undefined}><a class="log-link" href=${`#L${line.place}`} title="A link to this line"><time datetime=${line.time} title=${absolute(line.time)}>${clock(line.time)}</time></a>${from}<span class="log-text">${marked(line.text || '', word)}</span></div>`;
}
