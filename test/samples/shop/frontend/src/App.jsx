import { useEffect, useState } from 'react'
import { price } from './price.js'

export function App() {
  const [state, setState] = useState({ items: null })

  useEffect(() => {
    const away = new AbortController()
    fetch('/api/items', { signal: away.signal })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the shop answered ${answer.status}`))))
      .then(setState)
      .catch((error) => away.signal.aborted || setState({ error: error.message }))
    return () => away.abort()
  }, [])

  if (state.error) return <p role="alert">The items can't be shown: {state.error}</p>
  if (!state.items) return <p>Loading…</p>
  return (
    <main>
      <h1>{state.greeting}</h1>
      <ul>
        {state.items.map((item) => (
          <li key={item.id}><span>{item.name}</span><b>{price(item.cents)}</b></li>
        ))}
      </ul>
    </main>
  )
}
