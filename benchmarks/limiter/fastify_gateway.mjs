// Fastify's proxy behind its limit: node fastify_gateway.mjs PORT UPSTREAM_PORT REDIS_URL
import { createRequire } from 'node:module'
const require = createRequire(process.env.NODE_MODULES_OF + '/')
const fastify = require('fastify')
const rateLimit = require('@fastify/rate-limit')
const proxy = require('@fastify/http-proxy')
const Redis = require('ioredis')

const [port, upstream, url] = process.argv.slice(2)
const app = fastify({ logger: false })
const redis = new Redis(url, { connectTimeout: 500, maxRetriesPerRequest: 1 })
await app.register(rateLimit, { max: 2000000, timeWindow: '1 minute', redis })
await app.register(proxy, { upstream: `http://127.0.0.1:${upstream}`, prefix: '/hello', rewritePrefix: '/hello' })
await app.listen({ host: '127.0.0.1', port: Number(port) })
