// The types of the screens and of these tests agree.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the type checker has nothing to say', () => {
	const here = fileURLToPath(new URL('.', import.meta.url));
	const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
	const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.json'], { cwd: here, encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
});
