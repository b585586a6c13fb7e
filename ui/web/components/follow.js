import { useLayoutEffect, useRef, useState } from '../vendor/hooks.js';
import { html } from '../html.js';

/**
 * Keeps the end of a list that grows in sight, until somebody scrolls up.
 * @param {unknown} shown what is in the list
 * @param {boolean} paused
 */
export function useFollow(shown, paused) {
	const [below, setBelow] = useState(true); // the end is in sight
	const view = useRef(/** @type {HTMLElement | null} */ (null));
	const lastTop = useRef(0);
	useLayoutEffect(() => {
		if (view.current && below && !paused) view.current.scrollTop = view.current.scrollHeight;
	}, [shown, below, paused]);
	const onScroll = () => {
		const box = view.current;
		if (!box) return;
		if (box.scrollHeight - box.scrollTop - box.clientHeight < 40) setBelow(true);
		else if (box.scrollTop < lastTop.current - 2) setBelow(false); // new lines do not scroll upwards
		lastTop.current = box.scrollTop;
	};
	return { view, onScroll, toEnd: !below && html`<button type="button" class="button small to-end" onClick=${() => setBelow(true)}>To the newest line</button>` };
}
