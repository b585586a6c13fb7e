import { useEffect } from './vendor/hooks.js';

/** Names the tab, and with it the screen for those who listen. @param {string} title */
export function useTitle(title) {
	useEffect(() => {
		document.title = title ? `${title} · hks` : 'hks';
	}, [title]);
}
