import { useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { Fingerprint } from '../components/fingerprint.js';
import { Field } from '../components/field.js';
import { NewLink } from '../components/new-link.js';
import { Outside } from '../components/outside.js';
import { Problem } from '../components/problem.js';
import { html } from '../html.js';
import { navigate, safeReturn } from '../router.js';
import { enter } from '../session.js';
import { useStore } from '../store.js';
import { useTitle } from '../title.js';

/** @param {{next: string | null}} props */
export function LoginView({ next }) {
	const info = useStore((state) => state.info);
	const [password, setPassword] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [busy, setBusy] = useState(false);
	useTitle('Log in');

	const submit = async (/** @type {Event} */ event) => {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			await api.login(password);
			await enter();
			navigate(safeReturn(next), { replace: true });
		} catch (cause) {
			setBusy(false);
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	if (info && !info.setUp) {
		return html`<${Outside} title="Nobody owns this appliance yet">
			<p>Open the one-time link that was printed when it started. It is good for one hour. For a new one, as root on the machine:</p>
			<${NewLink} />
		</${Outside}>`;
	}
	return html`<${Outside} title="Log in">
		<form onSubmit=${submit}>
			<input type="text" class="hidden" name="username" value="owner" autocomplete="username" tabindex="-1" aria-hidden="true" readonly />
			<${Field} label="Password" type="password" value=${password} onValue=${setPassword} input=${{ autocomplete: 'current-password', autofocus: true, required: true }} />
			${error && html`<${Problem} message=${error.message} fix=${error.fix} />`}
			<button type="submit" class="button primary wide" disabled=${busy || password === ''}>${busy ? 'Logging in…' : 'Log in'}</button>
		</form>
		${next && html`<p class="muted small">Then back to <code>${safeReturn(next)}</code>.</p>`}
		${info && html`<${Fingerprint} value=${info.fingerprint} />`}
	</${Outside}>`;
}
