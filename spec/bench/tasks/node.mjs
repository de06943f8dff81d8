// node.mjs - the endpoints with Node: setImmediate, and worker threads through piscina.
//
//   node spec/bench/tasks/node.mjs [PISCINA_DIRECTORY]
//
// Prints where it listens. GET /counts tells how many tasks were scheduled and how many have ended;
// without piscina's directory there are no blocking ones.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const WAITING_MAX = 5000, THREADS = 6, HOUR_MS = 3600000

let scheduled = 0, done = 0, pool

function work() {
  done++
}

const endpoints = {
  none() {},
  coroutine(count) {
    scheduled += count
    for (let i = 0; i < count; i++) setImmediate(work)
  },
  blocking(count) {
    if (scheduled - done > WAITING_MAX) return
    scheduled += count
    for (let i = 0; i < count; i++) pool.run().then(work)
  },
  waiting(count) {
    for (let i = 0; i < count; i++) setTimeout(work, HOUR_MS)
  },
  counts: () => `${scheduled} ${done}`,
}

if (process.argv[2]) {
  const { Piscina } = createRequire(`${process.argv[2]}/`)('piscina')
  const filename = fileURLToPath(new URL('worker.mjs', import.meta.url))
  pool = new Piscina({ filename, minThreads: 1, maxThreads: THREADS })
}

const server = createServer((request, response) => {
  const [, name, count] = request.url.split('/')
  const text = endpoints[name](Number(count)) ?? 'Hello, World!'
  response.writeHead(200, { 'Content-Type': 'text/plain' }).end(text)
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
process.on('SIGTERM', () => process.exit(0))
