// The other side, Fastify 5: node fastify.cjs balancer|gateway PORT
// NODE_MODULES_OF is the folder that the packages are installed in. A balancer's UPSTREAM is the gateway; a gateway's
// SERVICES are {key: {url, prefixes}}, its JWK the public key, its REDIS_URL is left out where there are no limits.
// As the manuals advise for speed: one line a request, gathered and written together; kept connections by undici; verified tokens
// cached; commands to Redis pipelined by ioredis.
const { createRequire } = require('module')
const { randomUUID, createPublicKey } = require('crypto')
const from = createRequire(process.env.NODE_MODULES_OF + '/')
const pino = from('pino')
const prometheus = from('prom-client')
const proxy = from('@fastify/http-proxy')

const [what, port] = process.argv.slice(2)
const fastify = from('fastify')
const { LogController } = fastify
const app = fastify({
  loggerInstance: pino(pino.destination({ dest: 1, sync: false, minLength: 8192 })),
  ...(LogController ? { logController: new LogController({ disableRequestLogging: true }) } : { disableRequestLogging: true }),
  requestIdHeader: 'x-request-id',
  genReqId: () => randomUUID()
})

const took = new prometheus.Histogram({
  name: 'http_request_duration_seconds',
  help: 'By route, method and status.',
  labelNames: ['method', 'route', 'status'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})
app.addHook('onRequest', (request, reply, done) => { reply.header('x-request-id', request.id); done() })
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

const undici = { connections: 128, pipelining: 1 }
const rewriteRequestHeaders = (request, headers) => {
  headers['x-request-id'] = request.id
  headers['x-forwarded-for'] = request.ip
  headers['x-forwarded-proto'] = 'http'
  return headers
}
// what else reply-from logs of each request is off, too
const forward = (app, upstream, prefix) => app.register(proxy, {
  upstream, prefix, rewritePrefix: prefix, undici, disableRequestLogging: true, replyOptions: { rewriteRequestHeaders }
})

async function gateway () {
  const key = createPublicKey({ key: JSON.parse(process.env.JWK), format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const verify = from('fast-jwt').createVerifier({
    key, algorithms: ['EdDSA'], allowedIss: 'focushub', allowedAud: 'focushub', cache: 4096
  })
  app.decorateRequest('user', null)
  app.addHook('onRequest', (request, reply, done) => {
    if (request.url === '/metrics') return done()
    const given = request.headers.authorization
    if (given === undefined || !given.startsWith('Bearer ')) return reply.code(401).send({ title: 'Unauthorized', status: 401 })
    try {
      request.user = verify(given.slice(7))
    } catch {
      return reply.code(401).send({ title: 'Unauthorized', status: 401 })
    }
    done()
  })
  if (process.env.REDIS_URL) {
    const Redis = from('ioredis')
    const redis = new Redis(process.env.REDIS_URL, { connectTimeout: 500, maxRetriesPerRequest: 1, enableAutoPipelining: true })
    await app.register(from('@fastify/rate-limit'), {
      max: 600000,
      timeWindow: '1 minute',
      redis,
      hook: 'preHandler',
      keyGenerator: (request) => request.user?.sub ?? request.ip,
      enableDraftSpec: true
    })
  }
  const services = JSON.parse(process.env.SERVICES)
  for (const { url, prefixes } of Object.values(services)) for (const prefix of prefixes) forward(app, url, prefix)
  dashboard(services)
}

// Each section's service asked at once on kept connections; read, parsed, put together and written. SPLICED: what was
// read is looked at, and passed on as it came.
const spliced = process.env.SPLICED === '1'
function dashboard (services) {
  const { Pool } = from('undici')
  const sections = [
    ['profile', 'auth', '/v1/me'],
    ['tasks', 'task', '/v1/tasks/today'],
    ['focus', 'focus', '/v1/focus/summary'],
    ['habits', 'habit', '/v1/habits/today']
  ].map(([name, service, path]) => ({ name, path, pool: new Pool(services[service].url, { ...undici, bodyTimeout: 800, headersTimeout: 800 }) }))
  const ask = async ({ pool, path }, request) => {
    try {
      const { statusCode, body } = await pool.request({
        path, method: 'GET', headers: { authorization: request.headers.authorization, 'x-request-id': request.id }
      })
      if (statusCode === 200 && spliced) {
        const text = await body.text()
        JSON.parse(text)
        return { status: 'ok', text }
      }
      if (statusCode === 200) return { status: 'ok', data: await body.json() }
      await body.dump()
      return { status: 'unavailable', error: { code: 'upstream_error' }, data: null }
    } catch {
      return { status: 'unavailable', error: { code: 'upstream_unavailable' }, data: null }
    }
  }
  app.get('/v1/dashboard', async (request, reply) => {
    const found = await Promise.all(sections.map((section) => ask(section, request)))
    if (spliced) {
      const partial = found.some((each) => each.status !== 'ok')
      const parts = found.map((each, i) => `"${sections[i].name}":` +
        (each.text === undefined ? JSON.stringify(each) : `{"status":"ok","data":${each.text}}`))
      reply.type('application/json; charset=utf-8')
      return `{"partial":${partial},"sections":{${parts.join(',')}}}`
    }
    const answer = { partial: false, sections: {} }
    for (let i = 0; i < found.length; i++) {
      answer.sections[sections[i].name] = found[i]
      if (found[i].status !== 'ok') answer.partial = true
    }
    return answer
  })
}

async function main () {
  if (what === 'balancer') forward(app, process.env.UPSTREAM, '/')
  else await gateway()
  await app.listen({ host: '127.0.0.1', port: Number(port) })
}
main()
