// Fastify 5 + @fastify/http-proxy over two upstreams in turns, with a log line and a counter for each request.
// As the manuals advise for speed: lines are gathered and written together, what reply-from logs of each request is off.
const pino = require('pino')
const proxy = require('@fastify/http-proxy')
const [port, ...upstreams] = process.argv.slice(2)
const app = require('fastify')({
  loggerInstance: pino(pino.destination({ dest: 1, sync: false, minLength: 8192 })),
  disableRequestLogging: true,
  genReqId: () => require('crypto').randomUUID()
})
const counts = new Map()
let turn = 0
app.addHook('onResponse', async (request, reply) => {
  const key = `${request.method} ${reply.statusCode}`
  counts.set(key, (counts.get(key) || 0) + 1)
  request.log.info({ method: request.method, path: request.url, status: reply.statusCode, ms: reply.elapsedTime })
})
app.register(proxy, {
  upstream: '',
  disableRequestLogging: true,
  undici: { connections: 128, pipelining: 1 },
  replyOptions: { getUpstream: () => `http://127.0.0.1:${upstreams[turn++ % upstreams.length]}` }
})
app.listen({ port: Number(port), host: '127.0.0.1' })
