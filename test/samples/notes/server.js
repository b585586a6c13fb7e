// Notes: a page's backend that keeps rows in PostgreSQL.
//   GET  /notes            all notes, as JSON
//   POST /notes?text=...   one more
import { createServer } from 'node:http';
import pg from 'pg';

const { Pool } = pg;

/** Null until the app is bound to a database. */
const pool = process.env.DATABASE_URL ? new Pool({ connectionString: process.env.DATABASE_URL, max: 5 }) : null;
pool?.on('error', (error) => console.error('a connection broke:', error.message)); // the next query opens another one

async function prepare() {
	await pool.query('CREATE TABLE IF NOT EXISTS notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, made timestamptz NOT NULL DEFAULT now())');
}

/** @param {URL} url @param {string} method */
async function answer(url, method) {
	if (url.pathname === '/healthz') return { status: 200, body: { good: true } };
	if (url.pathname !== '/notes') return { status: 404, body: { error: 'there is /notes only' } };
	if (!pool) return { status: 503, body: { error: 'DATABASE_URL is not set' } };
	if (method === 'POST') {
		await prepare();
		const { rows } = await pool.query('INSERT INTO notes (text) VALUES ($1) RETURNING id', [url.searchParams.get('text') ?? '']);
		return { status: 201, body: rows[0] };
	}
	const { rows } = await pool.query('SELECT text, current_user AS role, session_user AS login FROM notes ORDER BY id');
	return { status: 200, body: { notes: rows.map((row) => row.text), login: rows[0]?.login, role: rows[0]?.role } };
}

const server = createServer(async (request, response) => {
	let result;
	try {
		result = await answer(new URL(request.url, 'http://notes'), request.method);
	} catch (error) {
		result = { status: 500, body: { error: error.message } };
	}
	response.writeHead(result.status, { 'content-type': 'application/json' }).end(JSON.stringify(result.body));
});
server.listen(Number(process.env.PORT ?? 3000));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
