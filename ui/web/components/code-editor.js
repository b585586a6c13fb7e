import { useRef } from '../vendor/hooks.js';
import Prism from '../vendor/prism.js';
import { html } from '../html.js';

/** Longer texts are shown without colours: they would make typing slow. */
const mostColoured = 100_000;

/** @type {Record<string, string>} */
const languages = { js: 'javascript', mjs: 'javascript', cjs: 'javascript', py: 'python', go: 'go', mod: 'go', json: 'json', yaml: 'yaml', yml: 'yaml' };

/** @param {string | {type: string, content: any} | any[]} token @returns {any} */
function coloured(token) {
	if (typeof token === 'string') return token;
	if (Array.isArray(token)) return token.map(coloured);
	return html`<span class=${`code-${token.type}`}>${coloured(token.content)}</span>`;
}

/** What a file's text looks like: by its name, in colours or plain. @param {string} name @param {string} text */
export function colours(name, text) {
	const grammar = Prism.languages[languages[name.split('.').pop() || '']];
	return grammar && text.length <= mostColoured ? coloured(Prism.tokenize(text, grammar)) : text;
}

/**
 * A text area over its own text in colours: what is typed, selected, undone and
 * read aloud is the text area's, the colours lie below it. Tab indents; Esc, then
 * Tab leaves it.
 * @param {{id: string, name: string, value: string, onValue: (value: string) => void}} props
 */
export function CodeEditor({ id, name, value, onValue }) {
	const below = useRef(/** @type {HTMLPreElement | null} */ (null));
	const leaving = useRef(false);
	const scroll = (/** @type {any} */ event) => {
		if (!below.current) return;
		below.current.scrollTop = event.target.scrollTop;
		below.current.scrollLeft = event.target.scrollLeft;
	};
	const keys = (/** @type {KeyboardEvent} */ event) => {
		const area = /** @type {HTMLTextAreaElement} */ (event.target);
		if (event.key === 'Tab' && !event.shiftKey && !leaving.current) {
			event.preventDefault();
			area.setRangeText(name.endsWith('.go') ? '\t' : name.endsWith('.py') ? '    ' : '  ', area.selectionStart, area.selectionEnd, 'end');
			onValue(area.value);
		}
		leaving.current = event.key === 'Escape';
	};
	return html`<div class="code-editor">
		<pre class="mono" aria-hidden="true" ref=${below}>${colours(name, value)}${'\n'}</pre>
		<textarea id=${id} class="mono" rows="16" wrap="off" spellcheck=${false} autocapitalize="off" value=${value} onScroll=${scroll} onKeyDown=${keys} onInput=${(/** @type {any} */ event) => onValue(event.target.value)}></textarea>
	</div>`;
}
