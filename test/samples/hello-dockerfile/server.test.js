const assert = require('node:assert/strict')
const { test } = require('node:test')
const { answer } = require('./server.js')

test('the page is there, others are not', () => {
  assert.equal(answer('/')[0], 200)
  assert.equal(answer('/other')[0], 404)
})
