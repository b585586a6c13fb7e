import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createApp } from '../app.js'

let server, base

before(async () => {
  server = createApp().listen(0)
  await new Promise((resolve) => server.once('listening', resolve))
  base = `http://127.0.0.1:${server.address().port}`
})

after(() => server.close())

test('items are listed', async () => {
  const answer = await fetch(`${base}/api/items`)
  assert.equal(answer.status, 200)
  assert.equal((await answer.json()).items.length, 3)
})

test('an unknown item is not found', async () => {
  assert.equal((await fetch(`${base}/api/items/9`)).status, 404)
})

test('an order is priced', async () => {
  const order = (body) => fetch(`${base}/api/orders`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const good = await order({ 2: 1 })
  assert.equal(good.status, 201)
  assert.deepEqual(await good.json(), { cents: 3999 })
  assert.equal((await order({ 9: 1 })).status, 400)
})
