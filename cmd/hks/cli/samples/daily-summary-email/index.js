'use strict';
const nodemailer = require('nodemailer');
const { Pool } = require('pg');
const { render } = require('./render');

// Made once an instance; a call uses what is there. The transport is made by the
// first call: a new version is loaded before its variables are set.
const database = new Pool({ connectionString: process.env.DATABASE_URL, max: 2, connectionTimeoutMillis: 10_000 });
let transport;
const post = () => (transport ??= nodemailer.createTransport(process.env.SMTP_URL));

// A connection that breaks while nobody uses it is replaced at the next call.
database.on('error', (error) => console.error('the database went away:', error.message));

/** The day to tell of: that of the request, else yesterday in UTC. */
function dayOf(request) {
  const day = request.body?.day || new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) throw new Error(`"${day}" is no day such as 2026-01-31`);
  return day;
}

exports.summary = async (request, response) => {
  try {
    const day = dayOf(request);
    const { rows } = await database.query(
      `SELECT product, count(*)::int AS orders, sum(cents)::int AS cents FROM orders
       WHERE placed_at >= $1::date AT TIME ZONE 'UTC' AND placed_at < ($1::date + 1) AT TIME ZONE 'UTC'
       GROUP BY product ORDER BY cents DESC, product`, [day]);
    const { subject, text, html } = render(day, rows);
    const sent = await post().sendMail({ from: process.env.MAIL_FROM, to: process.env.MAIL_TO, subject, text, html });
    response.json({ day, products: rows.length, mail: sent.messageId });
  } catch (error) {
    console.error(error);
    response.status(500).send(`no summary was sent: ${error.message}\n`);
  }
};
