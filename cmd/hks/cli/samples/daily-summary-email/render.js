'use strict';

const money = (cents) => (cents / 100).toFixed(2);
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** The mail of a day: subject, text and HTML. */
exports.render = (day, rows) => {
  const orders = rows.reduce((sum, row) => sum + row.orders, 0);
  const cents = rows.reduce((sum, row) => sum + row.cents, 0);
  const subject = `${day}: ${orders} orders, ${money(cents)}`;
  const lines = rows.map((row) => `${row.product}: ${row.orders} for ${money(row.cents)}`);
  return {
    subject,
    text: [subject, '', ...(lines.length ? lines : ['Nothing was ordered.']), ''].join('\n'),
    html: `<h1>${subject}</h1><table>${rows.map((row) => `<tr><td>${escaped(row.product)}</td><td>${row.orders}</td><td>${money(row.cents)}</td></tr>`).join('')}</table>`,
  };
};
