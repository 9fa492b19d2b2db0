// Fastify 5 + @fastify/http-proxy over two upstreams in turns, with a log line and a counter for each request.
const [port, ...upstreams] = process.argv.slice(2)
const app = require('fastify')({ logger: true, disableRequestLogging: true, genReqId: () => require('crypto').randomUUID() })
const counts = new Map()
let turn = 0
app.addHook('onResponse', async (request, reply) => {
  const key = `${request.method} ${reply.statusCode}`
  counts.set(key, (counts.get(key) || 0) + 1)
  request.log.info({ method: request.method, path: request.url, status: reply.statusCode, ms: reply.elapsedTime })
})
app.register(require('@fastify/http-proxy'), {
  upstream: '',
  undici: { connections: 128, pipelining: 1 },
  replyOptions: { getUpstream: () => `http://127.0.0.1:${upstreams[turn++ % upstreams.length]}` }
})
app.listen({ port: Number(port), host: '127.0.0.1' })
