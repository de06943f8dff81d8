// node.mjs - the workloads with Node's promises.
//
//   node --expose-gc spec/bench/async/node.mjs NAME SECONDS
//
// Prints a line for each figure, nothing for a workload that it does not have. Time is CPU time of
// the process with its helper threads; memory is its RSS.

const SPAWNS = 1000, SWITCHES = 100000, VALUES = 50000, CALLS = 1000 // of one batch
const MANY_TASKS = 1000, SLEEPERS = 100000, HOUR_MS = 3600 * 1000
const GATHERED = 10

const empty = async () => {}

function cpuNs() {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

function check(holds) {
  if (!holds) throw new Error('the workload did not do what was asked of it')
}

// Nanoseconds of one of the `count` operations of a batch.
async function cost(seconds, count, batch) {
  await batch() // warms up
  const first = cpuNs()
  let done = 0
  for (;;) {
    await batch()
    done += count
    const spent = cpuNs() - first
    if (spent >= seconds * 1e9) return spent / done
  }
}

const spawn = seconds => cost(seconds, SPAWNS, async () => {
  let last
  for (let i = 0; i < SPAWNS; i++) last = Promise.resolve().then(empty)
  await last
})

const spawnWait = seconds => cost(seconds, SPAWNS, async () => {
  for (let i = 0; i < SPAWNS; i++) await Promise.resolve().then(empty)
})

const nextMicrotask = () => null
const nextTurn = () => new Promise(setImmediate)

function takeTurns(seconds, tasks, count, pause) {
  const each = count / tasks
  return cost(seconds, count, async () => {
    let done = 0
    const turns = async () => {
      for (let i = 0; i < each; i++) await pause()
      done += each
    }
    await Promise.all(Array.from({ length: tasks }, turns))
    check(done === count)
  })
}

// A queue of promises: both sides wait for the other's next step.
class Channel {
  constructor(capacity) {
    this.capacity = capacity
    this.values = []
    this.senders = []
    this.receivers = []
  }

  async send(value) {
    const receiver = this.receivers.shift()
    if (receiver) return receiver(value)
    if (this.values.length >= this.capacity) await new Promise(go => this.senders.push(go))
    this.values.push(value)
  }

  receive() {
    if (this.values.length === 0) return new Promise(take => this.receivers.push(take))
    const value = this.values.shift()
    this.senders.shift()?.()
    return value
  }
}

const handOver = (seconds, capacity) => cost(seconds, VALUES, async () => {
  const channel = new Channel(capacity)
  const producer = async () => {
    for (let i = 1; i <= VALUES; i++) await channel.send(i)
    await channel.send(null)
  }
  const ended = producer()
  let sum = 0
  for (let value; (value = await channel.receive()) !== null;) sum += value
  await ended
  check(sum === VALUES * (VALUES + 1) / 2)
})

async function sleeping() {
  const tasks = new Array(SLEEPERS).fill(null)
  const sleepers = new Array(SLEEPERS).fill(null)
  const sleep = at => new Promise((wake, fail) => {
    sleepers[at] = { timer: setTimeout(wake, HOUR_MS), fail }
  })
  const sleeper = async at => { await sleep(at) }
  globalThis.gc()
  const rss = process.memoryUsage().rss, first = cpuNs()
  for (let i = 0; i < SLEEPERS; i++) tasks[i] = sleeper(i)
  const parked = cpuNs()
  const grown = process.memoryUsage().rss - rss
  globalThis.gc()
  const cancelling = cpuNs()
  for (const { timer, fail } of sleepers) {
    clearTimeout(timer)
    fail(new Error('cancelled'))
  }
  const ends = await Promise.allSettled(tasks)
  const cancelled = cpuNs()
  check(ends.every(end => end.status === 'rejected'))
  return {
    sleep: (parked - first) / SLEEPERS,
    sleep_bytes: grown / SLEEPERS,
    cancel: (cancelled - cancelling) / SLEEPERS,
  }
}

const gather = seconds => cost(seconds, CALLS, async () => {
  for (let i = 0; i < CALLS; i++) await Promise.all(Array.from({ length: GATHERED }, empty))
})

const workloads = {
  spawn,
  spawn_wait: spawnWait,
  park: seconds => takeTurns(seconds, 2, SWITCHES, nextMicrotask),
  park_many: seconds => takeTurns(seconds, MANY_TASKS, SWITCHES, nextMicrotask),
  loop: seconds => takeTurns(seconds, 1, CALLS, nextTurn),
  channel_0: seconds => handOver(seconds, 1),
  channel_100: seconds => handOver(seconds, 100),
  sleeping,
  gather,
}

const [name, seconds] = process.argv.slice(2)
const result = await workloads[name]?.(Number(seconds))
const figures = typeof result === 'number' ? { [name]: result } : result ?? {}
for (const [figure, value] of Object.entries(figures)) console.log(figure, value.toFixed(2))
