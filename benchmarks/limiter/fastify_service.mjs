// Fastify with a limited handler, Redis set up as @fastify/rate-limit's manual says, or with automatic pipelining too:
// node fastify_service.mjs PORT REDIS_URL [pipelining]
import { createRequire } from 'node:module'
const require = createRequire(process.env.NODE_MODULES_OF + '/')
const fastify = require('fastify')
const rateLimit = require('@fastify/rate-limit')
const Redis = require('ioredis')

const [port, url, pipelining] = process.argv.slice(2)
const app = fastify({ logger: false })
const redis = new Redis(url, { connectTimeout: 500, maxRetriesPerRequest: 1, enableAutoPipelining: pipelining !== undefined })
await app.register(rateLimit, { global: false, redis })
const config = { rateLimit: { max: 2000000, timeWindow: '1 minute' } }
app.get('/hello', { config }, async () => ({ hello: 'world' }))
await app.listen({ host: '127.0.0.1', port: Number(port) })
