import assert from 'node:assert/strict'
import { test } from 'node:test'
import { price } from '../src/price.js'

test('cents become a price', () => {
  assert.equal(price(2450), '€ 24.50')
  assert.equal(price(605), '€ 6.05')
  assert.equal(price(0), '€ 0.00')
})
