import { html } from '../html.js';

/** A text with what was searched for marked in it. @param {string} text @param {string} word */
export function marked(text, word) {
	const at = word ? text.toLowerCase().indexOf(word.toLowerCase()) : -1;
	return at < 0 ? text : html`${text.slice(0, at)}<mark>${text.slice(at, at + word.length)}</mark>${text.slice(at + word.length)}`;
}
