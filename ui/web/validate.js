// The grammars of names, as package agent has them: a slip is shown while
// typing; the appliance checks again.

/** @param {string} name @returns {string} what is wrong; empty when nothing is */
export function nameProblem(name) {
	if (name === '') return 'Give a name.';
	if (name.length > 40 || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
		return 'Use up to 40 lower-case letters, digits and dashes, beginning with a letter.';
	}
	return '';
}

/** @param {string} name */
export function envProblem(name) {
	return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? '' : 'Use letters, digits and underscores, not beginning with a digit.';
}

/** Whether a variable's name tells that its value is nothing to look at. @param {string} name */
export const looksSecret = (name) => /(pass|pwd|secret|token|key|credential|auth|private|salt|dsn|webhook|_url$)/i.test(name);

/** @param {string} port */
export function portProblem(port) {
	const value = Number(port);
	return Number.isInteger(value) && value >= 1 && value <= 65535 ? '' : 'Give the port that the container listens on, from 1 to 65535.';
}

/** @param {string} path */
export function pathProblem(path) {
	return path === '' || /^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/.test(path) ? '' : 'Begin it with / and leave out ? and #.';
}

export const shortestPassword = 10;

/**
 * A hint, no gate: length counts most.
 * @param {string} password
 * @returns {{level: 0 | 1 | 2 | 3, words: string}}
 */
export function strength(password) {
	if (password.length === 0) return { level: 0, words: `At least ${shortestPassword} characters. A few unrelated words are best.` };
	if (password.length < shortestPassword) return { level: 0, words: `${shortestPassword - password.length} more to go.` };
	const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(password)).length;
	const distinct = new Set(password).size;
	if (distinct < 6) return { level: 1, words: 'Easy to guess: the same few characters again and again.' };
	if (password.length >= 20 || (password.length >= 16 && kinds >= 2)) return { level: 3, words: 'Strong.' };
	if (kinds >= 3 || password.length >= 16) return { level: 2, words: 'Good. Longer is better still.' };
	return { level: 1, words: 'Fair. Add a word or two.' };
}
