// Which lines of a text changed.

/** Tables larger than this are not made: the texts have little in common. */
const mostCells = 4_000_000;

/**
 * The lines of both texts in order: '-' only before, '+' only after, ' ' in both.
 * @param {string} before @param {string} after @returns {{sign: '-' | '+' | ' ', text: string}[]}
 */
export function compareLines(before, after) {
	const a = before ? before.replace(/\n$/, '').split('\n') : [];
	const b = after ? after.replace(/\n$/, '').split('\n') : [];
	let start = 0;
	while (start < a.length && start < b.length && a[start] === b[start]) start++;
	let end = 0;
	while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
	const same = (/** @type {string[]} */ lines) => lines.map((text) => ({ sign: /** @type {const} */ (' '), text }));
	return [...same(a.slice(0, start)), ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)), ...same(a.slice(a.length - end))];
}

/** By the longest common run of lines. @param {string[]} a @param {string[]} b @returns {{sign: '-' | '+' | ' ', text: string}[]} */
function middle(a, b) {
	const gone = (/** @type {string} */ text) => ({ sign: /** @type {const} */ ('-'), text });
	const come = (/** @type {string} */ text) => ({ sign: /** @type {const} */ ('+'), text });
	if (a.length * b.length > mostCells) return [...a.map(gone), ...b.map(come)];
	const width = b.length + 1;
	const common = new Uint32Array((a.length + 1) * width); // of what follows in both
	for (let i = a.length - 1; i >= 0; i--) {
		for (let j = b.length - 1; j >= 0; j--) {
			common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
		}
	}
	/** @type {{sign: '-' | '+' | ' ', text: string}[]} */
	const lines = [];
	let i = 0;
	let j = 0;
	while (i < a.length || j < b.length) {
		if (i < a.length && j < b.length && a[i] === b[j]) {
			lines.push({ sign: ' ', text: a[i] });
			i++;
			j++;
		} else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
			lines.push(gone(a[i++]));
		} else {
			lines.push(come(b[j++]));
		}
	}
	return lines;
}

/** Only changed lines, and this many around each. @param {ReturnType<typeof compareLines>} lines @param {number} around */
export function changedLines(lines, around = 3) {
	const near = lines.map((_, n) => lines.slice(Math.max(0, n - around), n + around + 1).some((line) => line.sign !== ' '));
	return lines.filter((_, n) => near[n]);
}
