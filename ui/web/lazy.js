import { useEffect, useState } from './vendor/hooks.js';
import { Problem } from './components/problem.js';
import { html } from './html.js';

/**
 * A screen that is fetched when it is first shown, so that the first one does
 * not wait for all the others.
 * @param {() => Promise<any>} load
 * @returns {any}
 */
export function lazy(load) {
	/** @type {any} */
	let found = null;
	return function Late(/** @type {any} */ props) {
		const [failed, fail] = useState(false);
		const [, arrive] = useState(false);
		const fetch = () => {
			fail(false);
			load().then((view) => {
				found = view;
				arrive(true);
			}, () => fail(true));
		};
		useEffect(() => void (found || fetch()), []);
		if (found) return html`<${found} ...${props} />`;
		if (failed) return html`<${Problem} message="This screen could not be fetched." fix="See that the appliance is up, then load the page anew." retry=${() => location.reload()} />`;
		return html`<p class="muted" role="status">Loading…</p>`;
	};
}
