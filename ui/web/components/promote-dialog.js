import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { compareReleases, promoted } from '../diff.js';
import { html } from '../html.js';
import { appLink, navigate } from '../router.js';
import { putRelease, toast } from '../store.js';
import { Changes } from './changes.js';
import { FormDialog } from './form-dialog.js';
import { Problem } from './problem.js';

const to = 'production';

/** No release is there before the first. @param {unknown} error @returns {hks.Release[]} */
function none(error) {
	if (error instanceof ApiError && error.status === 404) return [];
	throw error;
}

/** Takes what serves in staging to production. @param {{app: hks.App}} props */
export function PromoteDialog({ app }) {
	const [sides, setSides] = useState(/** @type {{source: hks.Release, target: hks.Release | undefined} | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	useEffect(() => {
		const fail = (/** @type {unknown} */ cause) => {
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		};
		Promise.all([api.release(app.name, app.environment, app.release), api.releases(app.name, to).catch(none)])
			.then(([source, there]) => setSides({ source, target: there[0] }), fail);
	}, []);
	const run = async () => {
		const made = await api.promote(app.name, app.environment, to);
		putRelease(made);
		navigate(appLink({ name: app.name, environment: to }));
		toast({ kind: 'info', message: `Release ${made.number} of ${app.name} is on its way to ${to}.` });
	};
	const after = sides && { ...sides.source, spec: promoted(sides.source.spec, sides.target?.spec) };
	const changes = after && compareReleases(sides.target, after);
	return html`<${FormDialog} title=${`Promote ${app.name} to ${to}?`} action="Promote" command=${commands.promote(app, to)} run=${run} ready=${sides !== null}>
		<p>Exactly the images that serve in ${app.environment} as <strong>#${app.release}</strong> become a new release in ${to}; nothing is built again. Hosts, variables and the number of replicas stay those of ${to}.</p>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
		${sides && !sides.target && html`<p class="muted">${app.name} is not in ${to} yet: it begins there with this release, without variables.</p>`}
		${changes && (changes.length > 0
			? html`<${Changes} changes=${changes} several=${after.spec.components.length > 1} label=${`What changes in ${to}`} />`
			: html`<p class="muted">Nothing differs from what ${to} was released with last.</p>`)}
	</${FormDialog}>`;
}
