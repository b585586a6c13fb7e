import express from 'express'
import * as catalogue from './catalogue.js'

export function createApp() {
  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: '16kb' }))

  app.get('/healthz', (_, res) => res.type('text').send('ok\n'))

  app.get('/api/items', (_, res) => res.json({ items: catalogue.all(), greeting: process.env.GREETING ?? 'Welcome' }))

  app.get('/api/items/:id', (req, res) => {
    const item = catalogue.find(Number(req.params.id))
    if (item) res.json(item)
    else res.status(404).json({ error: 'no such item' })
  })

  app.post('/api/orders', (req, res) => {
    try {
      res.status(201).json({ cents: catalogue.total(req.body ?? {}) })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      res.status(400).json({ error: error.message })
    }
  })

  return app
}
