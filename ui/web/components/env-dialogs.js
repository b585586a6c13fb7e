import { useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { commands, hidden } from '../commands.js';
import { html } from '../html.js';
import { putRelease, toast } from '../store.js';
import { envProblem, looksSecret } from '../validate.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';

/** @typedef {{app: hks.App, release: hks.Release, variable: string}} Props */

/** Releases the app with other variables; the values it has stay. @param {hks.App} app @param {Record<string, string>} env */
async function change(app, env) {
	const made = await api.deploy(app.name, app.environment, { env });
	putRelease(made);
	toast({ kind: 'info', message: `Release ${made.number} of ${app.name} is on its way.` });
}

/** @param {hks.Release} release */
const kept = (release) => Object.fromEntries(Object.keys(release.spec.env || {}).map((name) => [name, hidden]));

/** @param {Props} props */
export function SetEnvDialog({ app, release, variable }) {
	const [name, setName] = useState(variable);
	const [value, setValue] = useState('');
	const secret = looksSecret(name);
	const problem = name === '' ? '' : envProblem(name);
	const known = name in (release.spec.env || {});
	const command = commands.setEnv(app, name || 'KEY', value || '...');
	return html`<${FormDialog} title=${variable ? `Set ${variable}` : 'Set a variable'} action="Set" command=${command} ready=${name !== '' && problem === ''}
		run=${() => change(app, { ...kept(release), [name]: value })}>
		<p>${app.name} in ${app.environment} gets it${release.spec.components.length > 1 ? ', in all its components,' : ''} with a new release of the same images. The other variables keep their values.</p>
		<${Field} label="Name" value=${name} onValue=${setName} problem=${problem} hint=${!variable && known ? 'It is set already: it gets this value.' : ''}
			input=${{ disabled: variable !== '', autofocus: variable === '', placeholder: 'KEY' }} />
		<${Field} label="Value" type=${secret ? 'password' : 'text'} value=${value} onValue=${setValue} hint="It is sealed and never shown again."
			input=${{ autofocus: variable !== '', autocomplete: secret ? 'new-password' : 'off' }} />
	</${FormDialog}>`;
}

/** @param {Props} props */
export function UnsetEnvDialog({ app, release, variable }) {
	const users = release.spec.components.filter((one) => one.secrets?.includes(variable)).map((one) => one.name);
	const run = () => {
		const env = kept(release);
		delete env[variable];
		return change(app, env);
	};
	return html`<${FormDialog} title=${`Unset ${variable}?`} action="Unset" danger command=${commands.unsetEnv(app, variable)} run=${run}>
		<p>${app.name} in ${app.environment} loses <code>${variable}</code> with a new release of the same images. A rollback brings its value back.</p>
		${users.length > 0 && html`<p>${users.join(', ')} can't be released without it.</p>`}
	</${FormDialog}>`;
}
