import assert from 'node:assert/strict'
import { test } from 'node:test'
import { total } from '../catalogue.js'

test('an order adds up', () => {
  assert.equal(total({ 1: 2, 3: 1 }), 5550)
  assert.equal(total({}), 0)
})

test('an order of what there is not is refused', () => {
  assert.throws(() => total({ 9: 1 }), RangeError)
  assert.throws(() => total({ 1: 0 }), RangeError)
})
