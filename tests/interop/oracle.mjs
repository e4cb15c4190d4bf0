// The official JavaScript library of Automerge, asked by tests: JSON lines in, JSON lines out.
//
// Law: one request, one answer, in order. A request names what to `do`; documents live here under
// the names that the tests give them. What the library throws is answered as {"error": words}, and
// the program goes on. Bytes are base64, but in shown values hex; numbers that JSON cannot carry
// exactly are decimal text.
//
//     node oracle.mjs FOLDER        FOLDER holds node_modules
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const A = createRequire(process.argv[2] + '/')('@automerge/automerge')
const docs = new Map()

const bytes = text => new Uint8Array(Buffer.from(text, 'base64'))
const base64 = data => Buffer.from(data).toString('base64')
const held = name => {
  if (!docs.has(name)) throw new Error(`no document ${name}`)
  return docs.get(name)
}
const keep = (name, doc) => {
  docs.set(name, doc)
  return { heads: A.getHeads(doc) }
}

// --- showing ---------------------------------------------------------------------------

// Every version of every value with its type and its name; the winner is the last of a list.
function shown(backend, [type, value, id], heads) {
  switch (type) {
    case 'map':
    case 'table': {
      const inside = {}
      for (const key of backend.keys(value, heads)) inside[key] = versions(backend, value, key, heads)
      return { t: type, id: value, v: inside }
    }
    case 'list': {
      const inside = []
      const length = backend.length(value, heads)
      for (let i = 0; i < length; i++) inside.push(versions(backend, value, i, heads))
      return { t: type, id: value, v: inside }
    }
    case 'text':
      return { t: type, id: value, v: backend.text(value, heads) }
    case 'timestamp':
      return { t: type, id, v: String(value.getTime()) }
    case 'bytes':
      return { t: type, id, v: Buffer.from(value).toString('hex') }
    case 'f64': {
      const raw = Buffer.alloc(8)
      raw.writeDoubleBE(value)
      return { t: type, id, v: raw.toString('hex') }
    }
    case 'int':
    case 'uint':
    case 'counter':
      return { t: type, id, v: String(value) }
    default:
      return { t: type, id, v: value }
  }
}

function versions(backend, obj, prop, heads) {
  return backend.getAll(obj, prop, heads).map(one => shown(backend, one, heads))
}

function tree(doc, heads) {
  return shown(A.getBackend(doc), ['map', '_root'], heads)
}

// --- editing: the edits of PATCH, as somebody with the library would write them -----------

// Indexes of texts are code points in edits and UTF-16 units in the library.
const units = (text, points) => Array.from(text).slice(0, points).join('').length

function value(told) {
  if (Array.isArray(told)) return told.map(value)
  if (told === null || typeof told !== 'object') return told
  return Object.fromEntries(Object.entries(told).map(([key, inner]) => [key, value(inner)]))
}

function typed(told, type) {
  switch (type) {
    case undefined: return value(told)
    case 'text': return told
    case 'string': return new A.ImmutableString(told)
    case 'counter': return new A.Counter(told)
    case 'timestamp': return new Date(told)
    case 'bytes': return bytes(told)
    case 'uint': return new A.Uint(told)
    case 'int': return new A.Int(told)
    case 'float': return new A.Float64(told)
    default: throw new Error(`no type ${type}`)
  }
}

const at = (root, path) => path.reduce((inner, step) => inner[step], root)

function edit(root, one) {
  const path = one.path
  const last = path[path.length - 1]
  const parent = at(root, path.slice(0, -1))
  switch (one.op) {
    case 'put':
      parent[last] = typed(one.value, one.type)
      return
    case 'insert':
      A.insertAt(parent, last, ...('values' in one ? one.values : [one.value]).map(v => typed(v, one.type)))
      return
    case 'delete':
      if (typeof parent === 'string') spliced(root, path.slice(0, -1), parent, last, one.count ?? 1, '')
      else if (Array.isArray(parent)) A.deleteAt(parent, last, one.count ?? 1)
      else delete parent[last]
      return
    case 'splice': {
      const target = at(root, path)
      if (typeof target === 'string') {
        spliced(root, path, target, one.index ?? Array.from(target).length, one.delete ?? 0, one.insert ?? '')
        return
      }
      const index = one.index ?? target.length
      if (one.delete) A.deleteAt(target, index, one.delete)
      if (one.insert?.length) A.insertAt(target, index, ...one.insert.map(value))
      return
    }
    case 'increment':
      parent[last].increment(one.by ?? 1)
      return
    case 'update':
      A.updateText(root, path, one.value)
      return
    case 'mark':
      A.mark(root, path, { start: one.start, end: one.end, expand: one.expand }, one.name, one.value)
      return
    case 'unmark':
      A.unmark(root, path, { start: one.start, end: one.end, expand: one.expand }, one.name)
      return
    case 'block':
      A.splitBlock(root, path, one.index, one.value)
      return
    default:
      throw new Error(`no edit ${one.op}`)
  }
}

function spliced(root, path, text, index, count, insert) {
  const start = units(text, index)
  A.splice(root, path, start, units(text, index + count) - start, insert)
}

// --- what may be asked ---------------------------------------------------------------------

const asked = {
  about: () => ({ release: A.releaseInfo().wasm.gitHead }),
  make: ({ doc, actor, from, author }) => {
    const options = author ? { actor, author } : { actor }
    return keep(doc, from === undefined ? A.init(options) : A.from(from, options))
  },
  load: ({ doc, data, actor }) => keep(doc, A.load(bytes(data), actor ? { actor } : undefined)),
  // What arrives piece by piece: chunks one behind the other.
  add: ({ doc, data }) => keep(doc, A.loadIncremental(held(doc), bytes(data))),
  apply: ({ doc, changes }) => {
    const told = keep(doc, A.applyChanges(held(doc), changes.map(bytes))[0])
    return { ...told, missing: A.getMissingDeps(held(doc), []) }
  },
  clone: ({ doc, to, actor }) => keep(to, A.clone(held(doc), actor ? { actor } : undefined)),
  merge: ({ doc, other }) => keep(doc, A.merge(held(doc), A.clone(held(other)))),
  edit: ({ doc, ops, message, time, at: heads }) => {
    const before = held(doc)
    const options = { message, time }
    const change = root => ops.forEach(one => edit(root, one))
    const after = heads ? A.changeAt(before, heads, options, change).newDoc : A.change(before, options, change)
    const made = A.getChanges(before, after)
    return { ...keep(doc, after), changes: made.map(base64), hashes: made.map(c => A.decodeChange(c).hash) }
  },
  changes: ({ doc, since }) => {
    const found = since ? A.getChangesSince(held(doc), since) : A.getAllChanges(held(doc))
    return { changes: found.map(base64), heads: A.getHeads(held(doc)) }
  },
  heads: ({ doc }) => ({ heads: A.getHeads(held(doc)) }),
  save: ({ doc }) => ({ data: base64(A.save(held(doc))) }),
  value: ({ doc, heads }) => ({ value: tree(held(doc), heads), heads: A.getHeads(held(doc)) }),
  text: ({ doc, path }) => ({ text: at(A.toJS(held(doc)), path ?? ['text']) }),
  decode: ({ change }) => ({ change: A.decodeChange(bytes(change)) }),
  encode: ({ change }) => ({ change: base64(A.encodeChange(change)) }),
  forget: ({ docs: names }) => {
    for (const name of names) {
      A.free(held(name))
      docs.delete(name)
    }
    return {}
  },
}

const told = (_, one) => (typeof one === 'bigint' ? String(one) : one)

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const { do: what, ...rest } = JSON.parse(line)
    if (!(what in asked)) throw new Error(`nothing does ${what}`)
    answer = asked[what](rest)
  } catch (error) {
    answer = { error: String(error?.message ?? error) }
  }
  process.stdout.write(JSON.stringify(answer, told) + '\n')
}
