// peer.mjs - servers of Node that perilune.http is tried against: plain, TLS with HTTP/2, raw bytes,
// a proxy, a Unix socket.
//
// node peer.mjs KEY CERTIFICATE SOCKET. When all listen it writes their ports as one line of JSON;
// it ends with its standard input.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import zlib from 'node:zlib'

const [key, certificate, socketPath] = process.argv.slice(2)
const text = 'perilune '.repeat(20000)
const connections = { plain: 0, tls: 0, proxy: 0 }
const attempts = {}

const coders = { gzip: zlib.gzipSync, br: zlib.brotliCompressSync, deflate: zlib.deflateSync }

function sendCoded(response, coding) {
  response.setHeader('Content-Encoding', coding)
  response.end(coders[coding](text))
}

async function flood(response) {
  const piece = Buffer.alloc(65536, 'x')
  for (let i = 0; i < 512; i++) {
    if (!response.write(piece)) await once(response, 'drain')
  }
  response.end()
}

function answer(request, response) {
  const [path, argument] = request.url.split('?')
  const name = path.slice(1)
  if (coders[name]) return sendCoded(response, name)
  switch (name) {
  case 'hi': return response.end(`hi ${request.httpVersion}`)
  case 'connections': return response.end(JSON.stringify(connections))
  case 'echo': return request.pipe(response)
  case 'flood': return flood(response).catch(() => {})
  case 'early':
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    return response.end('late')
  case 'close':
    response.setHeader('Connection', 'close')
    return response.end('closed')
  case 'broken-gzip':
    response.setHeader('Content-Encoding', 'gzip')
    return response.end('no gzip at all')
  case 'cut':
    response.writeHead(200, { 'Content-Length': 1000 })
    return response.write('begin', () => request.socket.destroy())
  case 'second': // the first attempt gets nothing
    attempts[argument] = (attempts[argument] ?? 0) + 1
    if (attempts[argument] === 1) return request.socket.destroy()
    return response.end(String(attempts[argument]))
  }
  response.statusCode = 404
  response.end()
}

const canned = {
  '/until-close': 'HTTP/1.0 200 OK\r\n\r\nall of it',
  '/bad-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n',
  '/cut-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc',
  '/nothing': '',
  '/old': 'ICY 200 OK\r\n\r\n',
  '/trailer': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
  '/many': `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(60000)}\r\n`,
}

function answerRaw(socket) {
  socket.on('error', () => {})
  socket.once('data', (data) => socket.end(canned[String(data).split(' ')[1]] ?? ''))
}

const options = { key: readFileSync(key), cert: readFileSync(certificate), allowHTTP1: true }
const plain = http.createServer(answer)
const tls = http2.createSecureServer(options, answer)
const raw = net.createServer(answerRaw)
const proxy = http.createServer((request, response) => response.end(`proxied ${request.url}`))
const unix = http.createServer((request, response) => response.end(`unix ${request.headers.host}`))

plain.on('connection', () => connections.plain++)
tls.on('secureConnection', () => connections.tls++)
proxy.on('connect', (request, client) => { // wherever it wants to go
  connections.proxy++
  const server = net.connect(tls.address().port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n')
    server.pipe(client).pipe(server)
  })
  for (const socket of [client, server]) socket.on('error', () => {})
})

const servers = { plain, tls, raw, proxy }
const listening = [...Object.values(servers), unix].map((server) => once(server, 'listening'))
for (const server of Object.values(servers)) server.listen(0, '127.0.0.1')
unix.listen(socketPath)
await Promise.all(listening)
const ports = Object.entries(servers).map(([name, server]) => [name, server.address().port])
process.stdout.write(`${JSON.stringify(Object.fromEntries(ports))}\n`)
process.stdin.on('end', () => process.exit()).resume()
