import { html } from '../html.js';

/** Drawn on a grid of 16 with a line of 1.5. @type {Record<string, string>} */
const paths = {
	arrow: 'M3.5 8h9M9 4.5 12.5 8 9 11.5',
	back: 'M12.5 8h-9M7 4.5 3.5 8 7 11.5',
	check: 'M3.5 8.5 6.5 11.5 12.5 5',
	chevron: 'M6 4l4 4-4 4',
	close: 'M4 4l8 8M12 4l-8 8',
	copy: 'M6 6h7v7H6zM10 6V3H3v7h3',
	download: 'M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10',
	error: 'M8 4.8v4M8 11.2v.1M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z',
	external: 'M6.5 3.5h-3v9h9v-3M9 3h4v4M13 3 7.5 8.5',
	image: 'M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.7 5.1 8 8.2l5.3-3.1M8 8.2v5.8',
	minus: 'M3.5 8h9',
	pause: 'M5.5 3.5v9M10.5 3.5v9',
	play: 'M5 3.2v9.6L12.5 8z',
	plus: 'M8 3.5v9M3.5 8h9',
	promote: 'M8 13.5v-9M4.5 8 8 4.5 11.5 8M3.5 2h9',
	restart: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3',
	rollback: 'M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M6 3.5l-3 3 3 3',
	scale: 'M2.5 11.5h3v2h-3zM6.5 7.5h3v6h-3zM10.5 3.5h3v10h-3z',
	search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4 13.5 13.5',
	settings: 'M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M8.5 3.5h3v3h-3zM4.5 9.5h3v3h-3z',
	stop: 'M4 4h8v8H4z',
	terminal: 'M3 4.5 6.5 8 3 11.5M8 12h5',
	trash: 'M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4',
	upload: 'M8 11V3M4.5 6.5 8 3l3.5 3.5M3 13.5h10',
	user: 'M8 8.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM3 13.5c.6-2.3 2.5-3.3 5-3.3s4.4 1 5 3.3',
	warning: 'M8 2.2 14.4 13.5H1.6zM8 6.5v3.2M8 11.6v.1',
	app: 'M2.5 3.5h11v9h-11zM2.5 6.3h11',
};

/** @param {{name: string}} props */
export function Icon({ name }) {
	return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${paths[name]} /></svg>`;
}
