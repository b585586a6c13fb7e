const items = [
  { id: 1, name: 'Teapot', cents: 2450 },
  { id: 2, name: 'Kettle', cents: 3999 },
  { id: 3, name: 'Cup', cents: 650 },
]

export const all = () => items

export const find = (id) => items.find((item) => item.id === id)

// Sums up an order of the form {id: quantity}; unknown items are an error.
export function total(order) {
  let cents = 0
  for (const [id, quantity] of Object.entries(order)) {
    const item = find(Number(id))
    if (!item) throw new RangeError(`no item ${id}`)
    if (!Number.isInteger(quantity) || quantity < 1) throw new RangeError(`a quantity of ${quantity}`)
    cents += item.cents * quantity
  }
  return cents
}
