// A service that behaves well, or in one of the ways in which services do not:
// MODE says which. GET /become?mode=... changes it while it runs.
const http = require('node:http')
const fs = require('node:fs')
const { spawn } = require('node:child_process')

let mode = process.env.MODE || 'well'
const kept = []

const each = (ms, work) => setInterval(() => { if (work.mode === mode) work() }, ms)
const when = (name, work) => Object.assign(work, { mode: name })

// What nobody gives back: about 1 MiB a second.
each(500, when('leak', () => kept.push(Buffer.alloc(512 * 1024, 1))))

// A heap that fills and is emptied, as a collector does it.
let heap = []
each(500, when('sawtooth', () => {
  heap.push(Buffer.alloc(1536 * 1024, 1))
  if (heap.length > 30) heap = []
}))

// Files that are written and read again: they fill the page cache only.
let file = 0
each(1000, when('cache', () => {
  const name = `/tmp/file-${file++ % 40}`
  fs.writeFileSync(name, Buffer.alloc(2 * 1024 * 1024, 1))
  fs.readFileSync(name)
}))

// A volume that fills up, until there is no more room.
each(200, when('fill', () => {
  try {
    fs.appendFileSync('/data/fill', Buffer.alloc(1024 * 1024, 1))
  } catch (error) {
    if (error.code !== 'ENOSPC') throw error
  }
}))

// An end some time after a good start.
setTimeout(() => {
  if (mode !== 'crash') return
  console.error('cannot reach the queue: token=canary-of-the-trouble-log')
  process.exit(3)
}, 12_000)

// A process beside this one that takes what memory there is.
function eat() {
  spawn(process.execPath, ['-e', 'const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 50)'], { stdio: 'ignore' })
}

let answered = 0
const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/become') {
    mode = url.searchParams.get('mode')
    if (mode === 'child') eat()
  }
  if (url.pathname === '/empty') fs.rmSync('/data/fill', { force: true })
  const sick = mode === 'sick' && url.pathname === '/healthz'
  const failing = mode === 'errors' && url.pathname === '/' && ++answered % 3 === 0
  if (failing) console.error(`order ${answered} failed: TypeError: cannot read the total of an order without lines`)
  else if (url.pathname === '/' && process.env.LOG) console.log(`order ${++answered} answered`)
  const answer = () => response.writeHead(sick || failing ? 500 : 200, { 'content-type': 'text/plain' }).end(`${mode}\n`)
  if (mode === 'slow' && url.pathname === '/') setTimeout(answer, 1500)
  else answer()
})
server.listen(Number(process.env.PORT || 8080))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
