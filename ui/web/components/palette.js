import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import { actionsOf } from '../actions.js';
import { html } from '../html.js';
import { logOut } from '../session.js';
import { appLink, buildLink, navigate } from '../router.js';
import { closeDialog, get, openDialog } from '../store.js';
import { Icon } from './icon.js';
import { Status } from './status.js';

/** @typedef {{id: string, label: string, icon: string, group: string, hint?: string, status?: string, run: () => unknown}} Entry */

const buildsListed = 20;

/** @returns {Entry[]} */
function entries() {
	const { apps, builds, path } = get();
	/** @type {Entry[]} */
	const list = [];
	const here = Object.values(apps || {}).find((app) => path.startsWith(appLink(app)));
	if (here) {
		list.push({ id: 'new-version', group: here.name, label: 'Deploy a new version', icon: 'upload', run: () => openDialog({ kind: 'deploy', app: here }) });
		for (const action of actionsOf(here)) list.push({ id: action.id, group: here.name, label: `${action.label} ${here.name}`, icon: action.icon, hint: action.cli, run: action.run });
	}
	list.push({ id: 'deploy', group: 'Do', label: 'Deploy an image', icon: 'plus', hint: 'hks deploy', run: () => openDialog({ kind: 'deploy' }) });
	for (const app of Object.values(apps || {}).sort((a, b) => a.name.localeCompare(b.name))) {
		list.push({ id: `app/${app.name}/${app.environment}`, group: 'Apps', label: app.name, hint: app.environment, icon: 'app', status: app.status, run: () => navigate(appLink(app)) });
	}
	for (const build of (builds || []).slice(0, buildsListed)) {
		list.push({ id: buildLink(build), label: `Build ${build.id} of ${build.app}`, hint: build.environment, group: 'Builds', icon: 'terminal', status: build.status, run: () => navigate(buildLink(build)) });
	}
	list.push(
		{ id: 'dashboard', group: 'Go to', label: 'Dashboard', icon: 'arrow', run: () => navigate('/') },
		{ id: 'builds', group: 'Go to', label: 'Builds', icon: 'terminal', hint: 'of all apps', run: () => navigate('/builds') },
		{ id: 'incidents', group: 'Go to', label: 'Incidents', icon: 'warning', hint: 'what went wrong', run: () => navigate('/incidents') },
		{ id: 'notifications', group: 'Go to', label: 'Notifications', icon: 'external', hint: 'where reports go', run: () => navigate('/notifications') },
		{ id: 'images', group: 'Go to', label: 'Images', icon: 'image', hint: 'load a tar file', run: () => navigate('/images') },
		{ id: 'settings', group: 'Go to', label: 'Settings', icon: 'settings', hint: 'tokens, certificate, kubeconfig', run: () => navigate('/settings') },
		{ id: 'logout', group: 'Do', label: 'Log out', icon: 'user', run: logOut },
	);
	return list;
}

/** Every word must occur; hits at the beginning of a label come first. @param {Entry[]} all @param {string} query */
function search(all, query) {
	const words = query.toLowerCase().split(/\s+/).filter(Boolean);
	if (words.length === 0) return all.slice(0, 40);
	const score = (/** @type {Entry} */ entry) => {
		const label = entry.label.toLowerCase();
		const text = `${label} ${entry.group} ${entry.hint || ''}`.toLowerCase();
		if (!words.every((word) => text.includes(word))) return 0;
		return label.startsWith(words[0]) ? 3 : label.includes(words[0]) ? 2 : 1;
	};
	return all.map((entry) => ({ entry, points: score(entry) })).filter((hit) => hit.points > 0)
		.sort((a, b) => b.points - a.points).slice(0, 40).map((hit) => hit.entry);
}

/** Go anywhere, do anything, by a few letters. */
export function Palette() {
	const [query, setQuery] = useState('');
	const [at, setAt] = useState(0);
	const all = useMemo(entries, []);
	const found = useMemo(() => search(all, query), [all, query]);
	const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
	const id = useId();
	useLayoutEffect(() => { // at once, so that no key typed on is lost
		const dialog = ref.current;
		const before = document.activeElement;
		dialog?.showModal();
		return () => {
			dialog?.close();
			if (before instanceof HTMLElement && before.isConnected && !get().dialog) before.focus();
		};
	}, []);
	useEffect(() => ref.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' }), [at, found]);

	const pick = (/** @type {Entry | undefined} */ entry) => {
		if (!entry) return;
		closeDialog();
		entry.run();
	};
	const keys = (/** @type {KeyboardEvent} */ event) => {
		const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (move && found.length > 0) {
			event.preventDefault();
			setAt((at + move + found.length) % found.length);
		} else if (event.key === 'Enter') {
			event.preventDefault();
			pick(found[at]);
		}
	};
	return html`<dialog ref=${ref} class="dialog palette" aria-label="Command palette" onCancel=${closeDialog}
		onMouseDown=${(/** @type {MouseEvent} */ event) => event.target === ref.current && closeDialog()}>
		<div class="dialog-body">
			<label class="search"><${Icon} name="search" /><span class="hidden">Go to an app or do something</span>
				<input type="text" role="combobox" aria-expanded="true" aria-controls=${id} aria-autocomplete="list" aria-activedescendant=${found[at] ? `${id}-${at}` : undefined}
					placeholder="Go to an app or do something" autofocus value=${query} spellcheck=${false} autocomplete="off" onKeyDown=${keys}
					onInput=${(/** @type {any} */ event) => { setQuery(event.target.value); setAt(0); }} /><kbd>Esc</kbd></label>
			<ul id=${id} role="listbox" aria-label="Results" tabindex="-1">
				${found.map((entry, i) => html`<li key=${entry.id} id="${id}-${i}" role="option" aria-selected=${i === at ? 'true' : 'false'}
					onMouseMove=${() => at !== i && setAt(i)} onClick=${() => pick(entry)}>
					<${Icon} name=${entry.icon} /><span class="palette-label">${entry.label}</span><span class="palette-hint">${entry.hint}</span>
					${entry.status ? html`<${Status} status=${entry.status} />` : html`<span class="palette-group">${entry.group}</span>`}
				</li>`)}
				${found.length === 0 && html`<li class="muted nothing" role="option" aria-selected="false" aria-disabled="true">Nothing is called that.</li>`}
			</ul>
		</div>
	</dialog>`;
}
