const http = require('node:http')

function answer(path) {
  switch (path) {
    case '/healthz':
      return [200, 'ok\n']
    case '/':
      return [200, 'Hello from a Dockerfile!\n']
    default:
      return [404, 'not found\n']
  }
}

if (require.main === module) {
  const server = http.createServer((request, response) => {
    const [status, body] = answer(request.url)
    response.writeHead(status, { 'content-type': 'text/plain' }).end(body)
  })
  server.listen(Number(process.env.PORT || 8080))
  process.on('SIGTERM', () => server.close(() => process.exit(0)))
}

module.exports = { answer }
