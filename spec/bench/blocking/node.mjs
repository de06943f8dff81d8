// node.mjs - the workloads with Node's structuredClone, and worker threads through piscina.
//
//   node spec/bench/blocking/node.mjs NAME SECONDS [PISCINA_DIRECTORY]
//
// Prints a line for each figure; calls without piscina's directory are an error.

import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const TRIPS = 500, CALLERS = 64, SAMPLES_MAX = 1e6
const ELEMENTS = 1000000, KEYS = 100000, STRING_BYTES = 10000000
const COMPUTING_CALLS = 8, STEPS = 20000000, THREADS = 6

function check(holds) {
  if (!holds) throw new Error('the workload did not do what was asked of it')
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

// Megabytes a second of one copy, where `bytes` counts as the value's size.
function copied(seconds, bytes, value, holds) {
  check(holds(structuredClone(value)))
  const first = cpuSeconds()
  for (let done = 1; ; done++) {
    structuredClone(value)
    const spent = cpuSeconds() - first
    if (spent >= seconds) return bytes * done / spent / 1e6
  }
}

function array(seconds) {
  const value = Array.from({ length: ELEMENTS }, (_, i) => (i + 1) * 3)
  const holds = copy => copy.length === ELEMENTS && copy[ELEMENTS - 1] === ELEMENTS * 3
  return copied(seconds, ELEMENTS * 8, value, holds)
}

function table(seconds) {
  const value = {}
  let bytes = 0
  for (let i = 1; i <= KEYS; i++) {
    value[`key ${i}`] = i
    bytes += `key ${i}`.length + 8
  }
  return copied(seconds, bytes, value, copy => copy[`key ${KEYS}`] === KEYS)
}

function string(seconds) {
  const value = '0123456789'.repeat(STRING_BYTES / 10)
  return copied(seconds, STRING_BYTES, value, copy => copy.length === STRING_BYTES)
}

const percentile = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]

async function trip(seconds, pool) {
  const samples = []
  for (let i = 0; i < TRIPS; i++) check(await pool.run(7, { name: 'giveBack' }) === 7)
  const first = performance.now()
  while (performance.now() - first < seconds * 1000 && samples.length < SAMPLES_MAX) {
    const begun = performance.now()
    check(await pool.run(7, { name: 'giveBack' }) === 7)
    samples.push((performance.now() - begun) * 1000)
  }
  samples.sort((a, b) => a - b)
  return { trip_p50: percentile(samples, 0.5), trip_p99: percentile(samples, 0.99) }
}

async function calls(seconds, pool) {
  const first = performance.now()
  let done = 0
  const call = async () => {
    do {
      check(await pool.run(7, { name: 'giveBack' }) === 7)
      done++
    } while (performance.now() - first < seconds * 1000)
  }
  await Promise.all(Array.from({ length: CALLERS }, call))
  return done / ((performance.now() - first) / 1000)
}

async function parallel(_seconds, pool) {
  const run = steps => pool.run(steps, { name: 'compute' })
  await Promise.all([run(STEPS), run(STEPS)])
  let begun = performance.now()
  await run(COMPUTING_CALLS * STEPS)
  const alone = performance.now() - begun
  begun = performance.now()
  await Promise.all(Array.from({ length: COMPUTING_CALLS }, () => run(STEPS)))
  return alone / (performance.now() - begun)
}

const copies = { array, table, string }
const pooled = { trip, calls, parallel }
const [name, seconds, directory] = [process.argv[2], Number(process.argv[3]), process.argv[4]]

let figures
if (copies[name]) {
  figures = copies[name](seconds)
} else {
  const { Piscina } = createRequire(`${directory}/`)('piscina')
  const filename = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: THREADS })
  figures = await pooled[name](seconds, pool)
  await pool.destroy()
}
if (typeof figures === 'number') figures = { [name]: figures }
for (const [figure, value] of Object.entries(figures)) console.log(`${figure} ${value.toFixed(2)}`)
