// node.mjs - the same workloads with better-sqlite3: node.mjs WORKLOAD SECONDS MODULES.
//
// It is synchronous: one insert after the other, each its own transaction, on the thread of the
// event loop. What has no counterpart there prints nothing.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROWS = 1000
const TEXT = 'x'.repeat(100)
const [workload, seconds, modules] = process.argv.slice(2)
const Database = createRequire(join(modules, 'package.json'))('better-sqlite3')

function rate(call) {
  const started = performance.now()
  const deadline = started + Number(seconds) * 1000
  let done = 0
  while (performance.now() < deadline) call((done++ % ROWS) + 1)
  return done / (performance.now() - started) * 1000
}

function measure(db) {
  const insert = db.prepare('insert into t (a, b) values (?, ?)')
  if (workload === 'single') return rate((i) => insert.run(i, TEXT))
  if (workload !== 'lookups') return undefined
  db.transaction(() => { for (let i = 1; i <= ROWS; i++) insert.run(i, TEXT) })()
  const select = db.prepare('select * from t where id = ?')
  return rate((i) => select.get(i))
}

const directory = mkdtempSync(join(tmpdir(), 'bench-'))
const db = new Database(join(directory, 'bench.db'))
db.pragma('journal_mode = wal')
db.pragma('synchronous = full')
db.exec('create table t (id integer primary key, a integer, b text)')
const figure = measure(db)
if (figure !== undefined) console.log(`${workload} ${figure.toFixed(3)}`)
db.close()
rmSync(directory, { recursive: true })
