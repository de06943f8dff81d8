// node.mjs - Node's JSON.parse and JSON.stringify.
//
//   node spec/bench/json/node.mjs NAME FILE SECONDS
//
// Prints a line for each figure, in MB of the text per second of CPU time, with that of the helper
// threads. What comes from a socket are bytes: turning them into a string is part of decoding, and
// turning the result into bytes part of encoding.

import { readFileSync } from 'node:fs'

const BATCH_BYTES = 1e6, BYTES_OF_MB = 1e6
const [workload, path, seconds] = process.argv.slice(2)

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function speed(bytes, operation) {
  const count = Math.max(1, Math.floor(BATCH_BYTES / bytes))
  const batch = () => { for (let i = 0; i < count; i++) operation() }
  batch() // warms up
  const first = cpuSeconds()
  for (let done = 0; ;) {
    batch()
    done += count
    const spent = cpuSeconds() - first
    if (spent >= Number(seconds)) return done * bytes / BYTES_OF_MB / spent
  }
}

const bytes = readFileSync(path)
const value = JSON.parse(bytes.toString())
const length = Buffer.byteLength(JSON.stringify(value))
console.log(`${workload}_decode ${speed(bytes.length, () => JSON.parse(bytes.toString())).toFixed(2)}`)
console.log(`${workload}_encode ${speed(length, () => Buffer.from(JSON.stringify(value))).toFixed(2)}`)
