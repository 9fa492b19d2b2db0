// The same service on Fastify 5 + pg: named (prepared) statements, schemas both ways, a log line and a histogram for each request.
// node fastify.cjs plain|tuned PORT, with DATABASE_URL, and NODE_MODULES_OF for the folder that fastify, fastify-metrics, pg and prom-client are installed in.
const { createRequire } = require('module')
const { createHash, randomUUID, randomBytes } = require('crypto')
const from = createRequire(process.env.NODE_MODULES_OF + '/')
const fastify = from('fastify')
const pino = from('pino')
const { Pool } = from('pg')
const { ONE, LIST, INSERT, PROJECT, PERSON, POOL } = JSON.parse(process.env.NOTES)
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: POOL, connectionTimeoutMillis: 900 })
const tuned = process.argv[2] === 'tuned'
const app = fastify({
  // tuned: lines are gathered and written together, as the other side does; and one a request, not two
  ...(tuned ? { loggerInstance: pino(pino.destination({ dest: 1, sync: false, minLength: 8192 })), disableRequestLogging: true } : { logger: true }),
  requestIdHeader: 'x-request-id',
  genReqId: () => randomUUID()
})
app.addHook('onRequest', (request, reply, done) => { reply.header('X-Request-Id', request.id); done() })
if (tuned) countByHand()
else app.register(from('fastify-metrics'), { endpoint: '/metrics' })

function countByHand () {
  const prometheus = from('prom-client')
  const took = new prometheus.Histogram({
    name: 'http_request_duration_seconds',
    help: 'By route, method and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  })
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unmatched'
    took.labels(request.method, route, String(reply.statusCode)).observe(reply.elapsedTime / 1000)
    request.log.info({ method: request.method, path: request.url, route, status: reply.statusCode, ms: reply.elapsedTime })
    done()
  })
  app.get('/metrics', async (request, reply) => {
    reply.type(prometheus.register.contentType)
    return prometheus.register.metrics()
  })
}

app.register(async (app) => {
const note = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    project_id: { type: 'string' },
    title: { type: 'string' },
    description: { type: 'string', nullable: true },
    done: { type: 'boolean' },
    priority: { type: 'integer' },
    created_at: { type: 'string', format: 'date-time' },
    updated_at: { type: 'string', format: 'date-time' }
  }
}
const uuid = { type: 'string', format: 'uuid' }

app.get('/v1/notes/:note_id', {
  schema: { params: { type: 'object', properties: { note_id: uuid } }, response: { 200: note } }
}, async (request, reply) => {
  const found = await pool.query({ name: 'one', text: ONE, values: [request.params.note_id] })
  if (found.rows.length === 0) return reply.code(404).send({ title: 'Not Found', status: 404 })
  return found.rows[0]
})

app.get('/v1/notes', {
  schema: {
    querystring: {
      type: 'object',
      additionalProperties: false,
      properties: { project_id: { ...uuid, default: PROJECT }, limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 } }
    },
    response: { 200: { type: 'object', properties: { items: { type: 'array', items: note } } } }
  }
}, async (request) => {
  const { project_id, limit } = request.query
  return { items: (await pool.query({ name: 'list', text: LIST, values: [project_id, limit] })).rows }
})

const ROUTE = 'POST /v1/notes'
const FIND = `SELECT held, fingerprint, status, headers, body
  FROM (SELECT pg_try_advisory_xact_lock($1) AS held) AS lock
  LEFT JOIN focushub.idempotency_keys
    ON user_id = $2 AND route = $3 AND key = $4 AND created_at > now() - interval '24 hours'`
const KEEP = `INSERT INTO focushub.idempotency_keys (user_id, route, key, fingerprint, status, headers, body)
  VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
  ON CONFLICT (user_id, route, key) DO UPDATE
  SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, headers = EXCLUDED.headers,
      body = EXCLUDED.body, created_at = EXCLUDED.created_at
  WHERE idempotency_keys.created_at <= now() - interval '24 hours'`

// Time-ordered, as the other side's are (RFC 9562, 5.7).
function uuid7 () {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = 0x70 | (bytes[6] & 0x0f)
  bytes[8] = 0x80 | (bytes[8] & 0x3f)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const insert = (client, body) => client.query({
  name: 'insert', text: INSERT, values: [uuid7(), body.project_id, body.title, body.description ?? null, body.priority]
})

app.post('/v1/notes', {
  schema: {
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['project_id', 'title'],
      properties: {
        project_id: uuid,
        title: { type: 'string', minLength: 1, maxLength: 200 },
        description: { type: 'string', maxLength: 2000, nullable: true },
        priority: { type: 'integer', minimum: 1, maximum: 4, default: 4 }
      }
    },
    response: { 201: note }
  }
}, async (request, reply) => {
  const key = request.headers['idempotency-key']
  if (key === undefined) {
    reply.code(201)
    return (await insert(pool, request.body)).rows[0]
  }
  const fingerprint = createHash('sha256').update(request.url + '\0' + JSON.stringify(request.body)).digest()
  const lock = createHash('sha256').update(`${PERSON}\0${ROUTE}\0${key}`).digest().readBigInt64BE().toString()
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const kept = (await client.query({ name: 'find', text: FIND, values: [lock, PERSON, ROUTE, key] })).rows[0]
    if (!kept.held) {
      await client.query('ROLLBACK')
      return reply.code(409).send({ title: 'Conflict', status: 409 })
    }
    if (kept.status !== null) {
      await client.query('ROLLBACK')
      if (!kept.fingerprint.equals(fingerprint)) return reply.code(422).send({ title: 'Unprocessable Content', status: 422 })
      return reply.code(kept.status).headers(kept.headers).header('Idempotency-Replayed', 'true').send(kept.body)
    }
    const made = (await insert(client, request.body)).rows[0]
    reply.code(201).type('application/json; charset=utf-8')
    const answer = reply.serializeInput(made, 201)
    const stored = await client.query({
      name: 'keep',
      text: KEEP,
      values: [PERSON, ROUTE, key, fingerprint, 201, '{"Content-Type":"application/json"}', Buffer.from(answer)]
    })
    if (stored.rowCount === 0) {
      await client.query('ROLLBACK')
      return reply.code(409).type('application/json').send({ title: 'Conflict', status: 409 })
    }
    await client.query('COMMIT')
    return reply.serializer((payload) => payload).send(answer)
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
})

})

app.listen({ host: '127.0.0.1', port: Number(process.argv[3]) })
